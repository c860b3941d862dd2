#include "runtime/Image/Resample.h"
