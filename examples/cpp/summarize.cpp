// Summarises text files with a bundle's generate.onnx: the whole beam search is in the graph.
//
//   summarize BUNDLE FILE... [--num-beams 8] [--max-length 64] [--truncate] [--json] ...

#include <onnxruntime_c_api.h>
#include <sentencepiece_processor.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

namespace {

using Ids = std::vector<std::int64_t>;
using Failure = std::runtime_error;
template <typename T>
using Owned = std::unique_ptr<T, void (*)(T*)>;

// The inputs of generate.onnx beside the text, each with transformers' default.
struct Setting {
  const char* name;
  bool is_float;
  double usual;
};
constexpr std::array<Setting, 8> kSettings{{{"num_beams", false, 1},
                                            {"max_length", false, 21},
                                            {"min_length", false, 0},
                                            {"length_penalty", true, 1},
                                            {"early_stopping", false, 0},  // 2 is "never"
                                            {"no_repeat_ngram_size", false, 0},
                                            {"repetition_penalty", true, 1},
                                            {"num_return_sequences", false, 1}}};

struct Arguments {
  std::filesystem::path bundle;
  std::vector<std::string> files;
  std::map<std::string, double> numbers;  // by name, as in kSettings; and threads
  bool truncate = false;
  bool json = false;
};

struct Summary {
  Ids token_ids;
  float score;
};

const OrtApi& api() {
  static const OrtApi* found = OrtGetApiBase()->GetApi(ORT_API_VERSION);
  if (!found) throw Failure("ONNX Runtime is older than the header that this was built with");
  return *found;
}

void check(OrtStatus* status) {
  if (!status) return;
  const std::string message = api().GetErrorMessage(status);
  api().ReleaseStatus(status);
  throw Failure(message);
}

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (!file || !(text << file.rdbuf())) throw Failure(path.string() + " cannot be read, or is empty");
  return text.str();
}

// The value of a field of one of the manifest's objects; "" where there is none. The manifest is
// known: a line for each field, two spaces further in than its object's, in which others may lie.
std::string field(const std::string& manifest, const std::string& object, const std::string& name) {
  const auto start = manifest.find('"' + object + "\": {");
  if (start == std::string::npos) return "";
  const auto line = manifest.rfind('\n', start);
  const std::string margin = manifest.substr(line, start - line);
  const std::string body = manifest.substr(start, manifest.find(margin + '}', start) - start);
  const std::string key = margin + "  \"" + name + "\": ";
  const auto found = body.find(key);
  if (found == std::string::npos) return "";
  const auto first = body.find_first_not_of('"', found + key.size());
  return body.substr(first, body.find_first_of(",\"\n", first) - first);
}

// num_beams of --num-beams, and the other way.
std::string exchanged(std::string name, char from, char to) {
  std::replace(name.begin(), name.end(), from, to);
  return name;
}

double number(const std::string& value, const std::string& name, bool is_float) {
  if (value == "never") return 2;  // of early_stopping
  if (value == "true" || value == "false") return value == "true";
  try {
    std::size_t end = 0;
    const double read = std::stod(value, &end);
    if (end == value.size() && (is_float || read == std::floor(read))) return read;
  } catch (const std::logic_error&) {
  }
  throw Failure(name + " is " + value + ", expected " + (is_float ? "a number" : "an integer"));
}

std::string replaced(std::string text, const std::string& old, const std::string& with) {
  for (auto at = text.find(old); at != std::string::npos; at = text.find(old, at + with.size()))
    text.replace(at, old.size(), with);
  return text;
}

class Tokenizer {
 public:
  Tokenizer(const std::filesystem::path& bundle, const std::string& manifest)
      : offset_(std::stoi(field(manifest, "tokenizer", "offset"))),
        special_below_(std::stoi(field(manifest, "tokenizer", "special_below"))),
        eos_(std::stoi(field(manifest, "tokenizer", "eos_token_id"))),
        cleans_(field(manifest, "tokenizer", "clean_up_spaces") == "true") {
    if (field(manifest, "tokenizer", "kind") != "sentencepiece" ||
        field(manifest, "tokenizer", "added_tokens") != "[]")
      throw Failure("the bundle's tokenizer is not SentencePiece alone, which this program reads");
    const auto file = bundle / field(manifest, "tokenizer", "file");
    const auto status = processor_.Load(file.string());
    if (!status.ok()) throw Failure(status.ToString());
  }

  Ids encode(const std::string& text) const {
    Ids ids;
    for (const int piece : processor_.EncodeAsIds(text)) ids.push_back(piece + offset_);
    if (ids.empty()) throw Failure("the text is empty: pass text with words in it");
    ids.push_back(eos_);
    return ids;
  }

  std::string decode(const Ids& ids) const {
    std::vector<int> pieces;
    for (const auto id : ids)
      if (id >= special_below_) pieces.push_back(static_cast<int>(id) - offset_);
    std::string text = processor_.DecodeIds(pieces);
    if (cleans_)
      for (const char* tight : {".", "?", "!", ",", "' ", "n't", "'m", "'s", "'ve", "'re"})
        text = replaced(text, std::string(" ") + tight, tight[1] == ' ' ? "'" : tight);
    return text;
  }

 private:
  sentencepiece::SentencePieceProcessor processor_;
  int offset_;  // an id is that of SentencePiece's piece and this
  int special_below_;
  int eos_;
  bool cleans_;  // spaces before punctuation
};

class Generator {
 public:
  Generator(const std::filesystem::path& graph, int threads) {
    OrtEnv* env = nullptr;
    check(api().CreateEnv(ORT_LOGGING_LEVEL_WARNING, "summarize", &env));
    env_.reset(env);
    OrtSessionOptions* options = nullptr;
    check(api().CreateSessionOptions(&options));
    const Owned<OrtSessionOptions> kept(options, api().ReleaseSessionOptions);
    check(api().SetIntraOpNumThreads(options, threads));
    OrtSession* session = nullptr;
    check(api().CreateSession(env, graph.c_str(), options, &session));
    session_.reset(session);
    OrtMemoryInfo* memory = nullptr;
    check(api().CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeDefault, &memory));
    memory_.reset(memory);
  }

  std::vector<Summary> generate(Ids ids, std::array<double, kSettings.size()> values) const {
    Ids mask(ids.size(), 1);
    const Ids shape{1, static_cast<std::int64_t>(ids.size())};  // [B, S]
    std::vector<const char*> names{"input_ids", "attention_mask"};
    std::vector<Owned<OrtValue>> inputs;
    inputs.push_back(tensor(ids.data(), ids.size(), shape));
    inputs.push_back(tensor(mask.data(), mask.size(), shape));
    std::array<std::int64_t, kSettings.size()> integers{};
    std::array<float, kSettings.size()> floats{};
    for (std::size_t at = 0; at < kSettings.size(); ++at) {
      names.push_back(kSettings[at].name);
      integers[at] = static_cast<std::int64_t>(values[at]);
      floats[at] = static_cast<float>(values[at]);
      inputs.push_back(kSettings[at].is_float ? tensor(&floats[at], 1, {})
                                              : tensor(&integers[at], 1, {}));
    }
    std::vector<const OrtValue*> fed;
    for (const auto& input : inputs) fed.push_back(input.get());
    const std::array<const char*, 3> wanted{"sequences", "lengths", "scores"};
    std::array<OrtValue*, 3> got{};
    check(api().Run(session_.get(), nullptr, names.data(), fed.data(), fed.size(), wanted.data(),
                    wanted.size(), got.data()));
    const Owned<OrtValue> sequences(got[0], api().ReleaseValue);
    const Owned<OrtValue> lengths(got[1], api().ReleaseValue);
    const Owned<OrtValue> scores(got[2], api().ReleaseValue);
    return summaries(*sequences, *lengths, *scores);
  }

 private:
  template <typename T>
  Owned<OrtValue> tensor(T* data, std::size_t count, const Ids& shape) const {
    constexpr auto type = std::is_same_v<T, float> ? ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT
                                                   : ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64;
    OrtValue* value = nullptr;
    check(api().CreateTensorWithDataAsOrtValue(memory_.get(), data, count * sizeof(T), shape.data(),
                                               shape.size(), type, &value));
    return {value, api().ReleaseValue};
  }

  template <typename T>
  static const T* data(const OrtValue& value) {
    void* found = nullptr;
    check(api().GetTensorMutableData(const_cast<OrtValue*>(&value), &found));
    return static_cast<const T*>(found);
  }

  static std::vector<Summary> summaries(const OrtValue& sequences, const OrtValue& lengths,
                                        const OrtValue& scores) {
    OrtTensorTypeAndShapeInfo* info = nullptr;
    check(api().GetTensorTypeAndShape(&sequences, &info));
    const Owned<OrtTensorTypeAndShapeInfo> kept(info, api().ReleaseTensorTypeAndShapeInfo);
    std::array<std::int64_t, 3> dims{};  // [B, R, T]
    check(api().GetDimensions(info, dims.data(), dims.size()));
    std::vector<Summary> found;
    for (std::int64_t row = 0; row < dims[1]; ++row) {
      const auto* first = data<std::int64_t>(sequences) + row * dims[2];
      const auto length = data<std::int64_t>(lengths)[row];
      if (length) found.push_back({Ids(first, first + length), data<float>(scores)[row]});
    }  // others stand for none
    if (found.empty()) throw Failure("no summary is possible under these settings");
    return found;
  }

  Owned<OrtEnv> env_{nullptr, api().ReleaseEnv};
  Owned<OrtSession> session_{nullptr, api().ReleaseSession};
  Owned<OrtMemoryInfo> memory_{nullptr, api().ReleaseMemoryInfo};
};

std::string usage() {
  std::string text = "usage: summarize BUNDLE FILE... [--truncate] [--json] [--threads N]";
  for (const auto& setting : kSettings)
    text += "\n  [--" + exchanged(setting.name, '_', '-') + " N]";
  return text;
}

Arguments read_arguments(int count, char** words) {
  Arguments read;
  for (int at = 1; at < count; ++at) {
    const std::string word = words[at];
    if (word == "--truncate") {
      read.truncate = true;
    } else if (word == "--json") {
      read.json = true;
    } else if (word.rfind("--", 0) == 0) {
      const std::string name = exchanged(word.substr(2), '-', '_');
      const auto* setting = std::find_if(kSettings.begin(), kSettings.end(),
                                         [&](const Setting& each) { return name == each.name; });
      const bool is_known = setting != kSettings.end();
      if (!is_known && name != "threads") throw Failure("there is no option " + word);
      if (++at == count) throw Failure(word + " is followed by nothing, expected a number");
      read.numbers[name] = number(words[at], word, is_known && setting->is_float);
    } else if (read.bundle.empty()) {
      read.bundle = word;
    } else {
      read.files.push_back(word);
    }
  }
  if (read.files.empty()) throw Failure(usage());
  return read;
}

// The model writes <n> between sentences that stand on lines of their own.
std::string in_lines(const std::string& text) { return replaced(text, "<n>", "\n"); }

std::string quoted(const std::string& text) {
  std::string json = "\"";
  for (const char each : text) {
    std::array<char, 8> escape{};
    if (each == '"' || each == '\\') {
      json += {'\\', each};
    } else if (static_cast<unsigned char>(each) < 0x20) {
      std::snprintf(escape.data(), escape.size(), "\\u%04x", each);
      json += escape.data();
    } else {
      json += each;
    }
  }
  return json + '"';
}

void print_json(const std::string& file, const std::vector<Summary>& summaries,
                const Tokenizer& tokenizer) {
  std::cout << "{\"file\":" << quoted(file) << ",\"summaries\":[";
  std::cout.precision(9);
  const char* before = "";
  for (const auto& [token_ids, score] : summaries) {
    std::cout << before << "{\"text\":" << quoted(tokenizer.decode(token_ids))
              << ",\"score\":" << score << ",\"token_ids\":[";
    for (std::size_t at = 0; at < token_ids.size(); ++at)
      std::cout << (at ? "," : "") << token_ids[at];
    std::cout << "]}";
    before = ",";
  }
  std::cout << "]}" << std::endl;
}

// A setting of the bundle's, as pegasus-edge's runtime settles it.
double own(const std::string& manifest, const Setting& setting) {
  const auto& [name, is_float, usual] = setting;
  const std::string word = name;
  if (word == "max_length" || word == "min_length") {
    // Counted without the start token, and these go before the others.
    const std::string winner = word.substr(0, 3) + "_new_tokens";
    const std::string tokens = field(manifest, "generation", winner);
    if (!tokens.empty() && tokens != "null") return 1 + number(tokens, winner, false);
  }
  const std::string kept = field(manifest, "generation", name);
  if (!kept.empty() && kept != "null") return number(kept, name, is_float);
  if (word != "max_length") return usual;
  return std::min(usual, std::stod(field(manifest, "limits", "max_target_tokens")));
}

void summarize_files(const Arguments& given) {
  const std::string manifest = read_file(given.bundle / "manifest.json");
  const auto threads = given.numbers.count("threads") ? given.numbers.at("threads") : 0;
  const std::string graph = field(manifest, "generate", "file");
  if (graph.empty())
    throw Failure(given.bundle.string() +
                  " has no graph that generates: use pegasus-export --generate");
  const Generator generator(given.bundle / graph, static_cast<int>(threads));
  const Tokenizer tokenizer(given.bundle, manifest);
  const auto limit = std::stoul(field(manifest, "limits", "max_source_tokens"));
  std::array<double, kSettings.size()> values{};
  for (std::size_t at = 0; at < kSettings.size(); ++at) {
    const auto given_one = given.numbers.find(kSettings[at].name);
    values[at] = given_one != given.numbers.end() ? given_one->second : own(manifest, kSettings[at]);
  }
  for (const auto& file : given.files) {
    try {
      Ids ids = tokenizer.encode(read_file(file));
      if (ids.size() > limit && !given.truncate)
        throw Failure("has " + std::to_string(ids.size()) + " tokens, the bundle takes " +
                      std::to_string(limit) + ": pass --truncate");
      if (ids.size() > limit) ids.erase(ids.begin() + limit - 1, ids.end() - 1);  // EOS stays
      const auto summaries = generator.generate(ids, values);
      if (given.json) {
        print_json(file, summaries, tokenizer);
        continue;
      }
      for (const auto& summary : summaries)
        std::cout << in_lines(tokenizer.decode(summary.token_ids)) << std::endl;
    } catch (const Failure& failure) {
      throw Failure(file + ": " + failure.what());
    }
  }
}

}  // namespace

int main(int count, char** words) {
  // ONNX Runtime tells Microsoft what is loaded, unless this is set before its environment is made.
#ifdef _WIN32
  if (!std::getenv("ORT_DISABLE_TELEMETRY")) _putenv_s("ORT_DISABLE_TELEMETRY", "1");
#else
  setenv("ORT_DISABLE_TELEMETRY", "1", /*overwrite=*/0);
#endif
  try {
    if (count == 2 && std::string(words[1]) == "--help") {
      std::cout << usage() << std::endl;
      return 0;
    }
    summarize_files(read_arguments(count, words));
  } catch (const std::exception& failure) {
    std::cerr << "summarize: " << failure.what() << std::endl;
    return 1;
  }
}
