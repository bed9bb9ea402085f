#include "static_assertions.h"
