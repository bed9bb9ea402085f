// KTLSIM_EXPORT: what the shared library shows of the C++ that a transport application is compiled
// against (ktlsim/processor.h and the headers it includes). Everything else is hidden; the names
// stand in kernel_sim/packaging/ktlsim.map, too. No promise between two versions.
#pragma once

#define KTLSIM_EXPORT __attribute__((visibility("default")))
