// The requests of `ktlsim load` as bytes.
#pragma once

#include <cstddef>
#include <string>

#include "kernel_sim/command/load_settings.h"

namespace ktlsim::command {

// The server's name, for SNI, Host and the certificate check. A certificate is for names; a bare
// address stands for this machine.
std::string LoadServerName(const LoadOptions& options);
std::string LoadTarget(const LoadOptions& options, const LoadShare& share);
std::string LoadMethod(const LoadOptions& options, const LoadShare& share);

// `--body`, the file read, or the made-up one. Empty: done; else what is wrong.
std::string LoadBody(const LoadOptions& options, const LoadShare& share, std::string* body);

// The head without the empty line, for a body of this length.
std::string LoadRequestHead(const LoadOptions& options, const LoadShare& share,
                            std::size_t body_bytes);

}  // namespace ktlsim::command
