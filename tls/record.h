// The record layer in one include.
#pragma once

#include "tls/record_reader.h"  // IWYU pragma: export
#include "tls/record_writer.h"  // IWYU pragma: export
