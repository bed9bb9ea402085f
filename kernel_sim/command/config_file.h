// A configuration file of `ktlsim serve`: TOML whose keys are the options' names.
//
// Keys at the top are for the process and for every listener; each [[listener]] table is a listener
// that overrides them. Without such a table the top level is the one listener. Options of the
// command line are in between: they override the top level, and a table overrides them.
#pragma once

#include <functional>
#include <string>

#include "kernel_sim/command/serve_config.h"
#include "kernel_sim/command/serve_settings.h"

namespace ktlsim::command {

// Reads `path` (empty: no file), lets `options` apply the command line, and checks the whole.
// Empty: done. Else "FILE:LINE: key `x`: what is wrong and the remedy". `options` returns its
// errors in the same way.
std::string LoadConfig(const std::string& path,
                       const std::function<std::string(SettingScope&)>& options,
                       ServeConfig* config);
// The same from a text; messages call it `name`.
std::string ParseConfig(const std::string& text, const std::string& name,
                        const std::function<std::string(SettingScope&)>& options,
                        ServeConfig* config);

}  // namespace ktlsim::command
