// Stands for the header that the toolkit's build generates for this kernel.
#include "twin_launch.h"
