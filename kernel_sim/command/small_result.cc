#include "kernel_sim/command/small_result.h"

#include <unistd.h>

#include <array>
#include <cerrno>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "kernel_sim/base/file.h"
#include "kernel_sim/command/command_line.h"
#include "kernel_sim/command/values.h"

namespace ktlsim::command {
namespace {

std::string ReadStandardInput(std::string* text) {
  std::array<char, 4096> piece{};
  text->clear();
  for (;;) {
    const ssize_t got = read(STDIN_FILENO, piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return "standard input cannot be read";
    if (got == 0) return {};
    text->append(piece.data(), static_cast<std::size_t>(got));
    if (text->size() > kPolicyBytesMax) return "standard input has more than 1 MiB";
  }
}

}  // namespace

std::string ReadPolicyText(const std::string& argument, const std::string& file,
                           std::string* text) {
  if (argument.empty() == file.empty()) {
    return "a descriptor is needed: its text, - for standard input, or --file FILE";
  }
  if (!file.empty()) {
    const Result<FileText> read = ReadFile(file.c_str(), kPolicyBytesMax);
    if (!read.ok()) return fmt::format("{}: {}", Printable(file), read.status().ToString());
    *text = std::string(read->text());
    return {};
  }
  if (argument == "-") return ReadStandardInput(text);
  *text = argument;
  return {};
}

nlohmann::json SmallEnvelope(const std::string& command) {
  return {{"schema", fmt::format("ktlsim-{}/1", command)},
          {"tool", {{"name", "ktlsim"}, {"version", KTLSIM_VERSION}}},
          {"command_line", GivenArguments()}};
}

}  // namespace ktlsim::command
