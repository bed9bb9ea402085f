// A configuration file: it is accepted, or the message says where it is wrong.
#include <string>

#include "kernel_sim/command/config_file.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
  using namespace ktlsim;
  const std::string text(reinterpret_cast<const char*>(data), bytes);
  command::ServeConfig config;
  const std::string error = command::ParseConfig(
      text, "fuzz.toml", [](command::SettingScope&) { return std::string(); }, &config);
  test::Require(error.empty() || error.find('\n') == std::string::npos, "a message of two lines");
  return 0;
}
