// The graphs of a bundle that each way of the page to search runs.
export const GRAPHS = {
  beams: ["generate"],
  "one beam": ["encoder_model", "decoder_model_merged"],
};
