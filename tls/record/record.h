// The record layer in one include.
#pragma once

#include "tls/record/record_reader.h"  // IWYU pragma: export
#include "tls/record/record_writer.h"  // IWYU pragma: export
