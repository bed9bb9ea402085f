// The server name in any first bytes: however they are cut, the outcome is the same, and where a
// whole ClientHello lies in one record, SslGetServerIdentity finds the same name.
#include <schannel.h>
#include <sspi.h>

#include <algorithm>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "kernel_sim/transport/client_hello_reader.h"
#include "tests/fuzz/fuzz.h"

namespace ktlsim::test {
namespace {

using transport::ClientHelloReader;
using Outcome = ClientHelloReader::Outcome;

struct Found {
  Outcome outcome = Outcome::kNeedMore;
  std::string name;
  bool operator==(const Found&) const = default;
};

Found Read(std::span<const std::byte> input, std::size_t step) {
  ClientHelloReader reader;
  Found found;
  for (std::size_t at = 0; at < input.size() && found.outcome == Outcome::kNeedMore; at += step) {
    // In memory of its own, so that AddressSanitizer reports reads beyond it.
    const auto piece = input.subspan(at, std::min(step, input.size() - at));
    const std::vector<std::byte> copy(piece.begin(), piece.end());
    found.outcome = reader.Read(copy);
  }
  if (found.outcome == Outcome::kName) found.name = reader.name();
  return found;
}

}  // namespace
}  // namespace ktlsim::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
  using namespace ktlsim::test;
  const auto input = std::as_bytes(std::span(data, bytes));
  const Found whole = Read(input, std::max<std::size_t>(bytes, 1));
  Require(whole == Read(input, 1), "byte by byte it is another outcome");
  Require(whole == Read(input, 7), "in sevens it is another outcome");
  std::vector<BYTE> hello(data, data + bytes);
  PBYTE name = nullptr;
  DWORD name_bytes = 0;
  if (SslGetServerIdentity(hello.data(), static_cast<DWORD>(hello.size()), &name, &name_bytes, 0) ==
          SEC_E_OK &&
      name_bytes > 0 && whole.outcome == Outcome::kName && !whole.name.empty()) {
    Require(
        whole.name.size() == name_bytes && std::memcmp(whole.name.data(), name, name_bytes) == 0,
        "it is another name");
  }
  return 0;
}
