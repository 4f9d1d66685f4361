// A small Ascend C: only what our kernels use, in our own words, over the instructions of the model
// (test/twin/model). It calls them as the toolkit's headers do; scripts/check-toolkit.sh
// compiles the same kernels over those.
#pragma once

#include "queues.h"
#include "tensors.h"
#include "vector_functions.h"
#include "copy_functions.h"
#include "cube_functions.h"
