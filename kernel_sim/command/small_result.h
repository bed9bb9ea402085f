// What the commands that measure nothing share: texts from an argument, standard input or a file,
// and the frame of their JSON results.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

namespace ktlsim::command {

inline constexpr std::size_t kPolicyBytesMax = std::size_t{1} << 20;

// A descriptor as text: `argument`, or all of standard input for "-", or the content of `file`.
// Empty: done; else what is wrong.
std::string ReadPolicyText(const std::string& argument, const std::string& file, std::string* text);

// An object with schema, tool and command line, to which the command adds its own.
nlohmann::json SmallEnvelope(const std::string& command);

}  // namespace ktlsim::command
