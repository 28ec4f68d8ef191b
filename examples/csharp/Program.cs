// Summarises text files with a bundle's generate_text.onnx, text in and text out:
//
//   pegasus-export --model MODEL --output BUNDLE --target onnx --generate --text
//   ORT_DISABLE_TELEMETRY=1 dotnet run -- BUNDLE FILE... [--num-beams 8] [--max-length 64] ...
//
// (ONNX Runtime tells Microsoft what is loaded, unless that is set before the process starts.)
//
// NEITHER COMPILED NOR RUN: there was no .NET where this was written. The names are those in the
// sources of Microsoft.ML.OnnxRuntime 1.29. The same graph runs in Python, where it is tested.

using System.Globalization;
using System.Text.Json;
using Microsoft.ML.OnnxRuntime;

// The inputs of the graph beside the text, each with transformers' default.
var integers = new Dictionary<string, long>
{
    ["num_beams"] = 1,
    ["max_length"] = 21,
    ["min_length"] = 0,
    ["early_stopping"] = 0, // 0, 1, or 2 for "never"
    ["no_repeat_ngram_size"] = 0,
    ["num_return_sequences"] = 1,
};
var floats = new Dictionary<string, float> { ["length_penalty"] = 1, ["repetition_penalty"] = 1 };

bool Set(string name, string value) // false where there is no such input
{
    value = value switch { "never" => "2", "true" => "1", "false" => "0", _ => value };
    if (integers.ContainsKey(name)) integers[name] = long.Parse(value, CultureInfo.InvariantCulture);
    else if (floats.ContainsKey(name)) floats[name] = float.Parse(value, CultureInfo.InvariantCulture);
    else return false;
    return true;
}

if (args.Length < 2)
{
    Console.Error.WriteLine("usage: dotnet run -- BUNDLE FILE... [--num-beams N] [--max-length N] ...");
    return 2;
}
var bundle = args[0];
using var manifest = JsonDocument.Parse(File.ReadAllText(Path.Combine(bundle, "manifest.json")));
var generation = manifest.RootElement.GetProperty("generation");
integers["max_length"] = Math.Min(
    integers["max_length"],
    manifest.RootElement.GetProperty("limits").GetProperty("max_target_tokens").GetInt64());
foreach (var setting in generation.EnumerateObject())
{
    if (setting.Value.ValueKind != JsonValueKind.Null) Set(setting.Name, setting.Value.ToString().ToLowerInvariant());
}
foreach (var (name, winner) in new[] { ("max_length", "max_new_tokens"), ("min_length", "min_new_tokens") })
{
    // Counted without the start token, and these go before the others.
    if (generation.TryGetProperty(winner, out var tokens) && tokens.ValueKind == JsonValueKind.Number)
        integers[name] = tokens.GetInt64() + 1;
}
var files = new List<string>();
for (var at = 1; at < args.Length; at++)
{
    var word = args[at];
    if (!word.StartsWith("--")) files.Add(word);
    else if (++at == args.Length || !Set(word[2..].Replace('-', '_'), args[at]))
    {
        Console.Error.WriteLine($"{word}: there is no such option, or no number behind it");
        return 2;
    }
}

if (!manifest.RootElement.GetProperty("graphs").TryGetProperty("generate_text", out var graph))
{
    Console.Error.WriteLine($"{bundle} has no graph that takes text: use pegasus-export --generate --text");
    return 1;
}
using var options = new SessionOptions();
options.RegisterOrtExtensions(); // SentencePiece's operators
using var session = new InferenceSession(Path.Combine(bundle, graph.GetProperty("file").GetString()!), options);
using var runOptions = new RunOptions();

var inputs = new Dictionary<string, OrtValue>();
foreach (var (name, value) in integers) inputs[name] = OrtValue.CreateTensorValueFromMemory(new[] { value }, []);
foreach (var (name, value) in floats) inputs[name] = OrtValue.CreateTensorValueFromMemory(new[] { value }, []);
foreach (var file in files)
{
    using var text = OrtValue.CreateTensorWithEmptyStrings(OrtAllocator.DefaultInstance, [1]); // [B]
    text.StringTensorSetElementAt(File.ReadAllText(file).AsSpan(), 0);
    var fed = new Dictionary<string, OrtValue>(inputs) { ["text"] = text };
    using var outputs = session.Run(runOptions, fed, ["texts", "truncated"]);
    if (outputs[1].GetTensorDataAsSpan<bool>()[0])
    {
        Console.Error.WriteLine($"{file}: is longer than the bundle takes, and was cut");
    }
    foreach (var summary in outputs[0].GetStringTensorAsArray()) // [B, R]
    {
        Console.WriteLine(summary.Replace("<n>", "\n")); // the model's mark for a new line
    }
}
foreach (var value in inputs.Values) value.Dispose();
return 0;
