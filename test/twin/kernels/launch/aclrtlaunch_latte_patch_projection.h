// Where the toolkit's build generates a header for this kernel.
#include "twin_launch.h"
