// URLs of the command line: an accepted one has a host, and can be put in a request without
// breaking it.
#include <string>

#include "kernel_sim/command/server_url.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
  using namespace ktlsim;
  const std::string text(reinterpret_cast<const char*>(data), bytes);
  command::ServerUrl url;
  if (!command::ParseServerUrl(text, &url).empty()) return 0;
  test::Require(!url.host.empty(), "a URL without a host");
  for (const std::string& part : {url.host, url.path}) {
    test::Require(part.find_first_of(std::string("\r\n\0 ", 4)) == std::string::npos,
                  "a byte that ends a line or a word");
  }
  command::ServerUrl again;
  test::Require(command::ParseServerUrl(url.Authority(), &again).empty(), "its authority is none");
  test::Require(again.host == url.host && again.port == url.port, "its authority is another's");
  return 0;
}
