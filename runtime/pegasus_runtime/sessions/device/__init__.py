"""Decoding over memory that is there beforehand: targets trt, trt-rtx, and ort in fp16."""
