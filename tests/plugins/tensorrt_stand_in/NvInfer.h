// See NvInferRuntime.h; what looks for TensorRT's headers looks for this name.
#pragma once
#include "NvInferRuntime.h"
