// Protected records from a peer that has the key: the first byte chooses the suite; the rest is
// either the bytes on the wire, or the content that is sealed first.
#include <array>
#include <cstring>
#include <memory>
#include <vector>

#include "tests/fuzz/fuzz.h"
#include "tls/record/record_reader.h"
#include "tls/record/record_writer.h"

namespace ktlsim::test {
namespace {

using tls::OpenResult;

constexpr std::array<std::uint16_t, 5> kSuites = {0x1301, 0x1302, 0x1303, 0xC02F, 0xCCA8};

tls::ProtectionState State(std::uint16_t suite) {
  tls::ProtectionState state;
  state.suite = tls::FindSuite(suite);
  Require(state.suite != nullptr, "a suite is gone");
  if (state.suite->version == tls::Version::kTls13) {
    state.traffic_secret =
        tls::Secret(std::vector<std::uint8_t>(tls::HashBytes(state.suite->hash), 42));
  } else {
    state.keys.key = tls::Secret(std::vector<std::uint8_t>(state.suite->key_bytes, 42));
    state.keys.iv = tls::Secret(std::vector<std::uint8_t>(12, 43));
  }
  return state;
}

void Open(tls::RecordReader& reader, std::vector<std::byte> wire) {
  std::size_t at = 0;
  for (int records = 0; records < 64; ++records) {
    const std::span<std::byte> rest(wire.data() + at, wire.size() - at);
    const OpenResult result = reader.Open(rest);
    Require(result.consumed <= rest.size(), "more is consumed than there was");
    if (!result.fragment.empty()) {
      Require(result.fragment.data() >= rest.data() &&
                  result.fragment.data() + result.fragment.size() <= rest.data() + rest.size(),
              "the plaintext lies elsewhere");
      Require(
          result.header_bytes + result.fragment.size() + result.trailer_bytes == result.consumed,
          "header, plaintext and trailer are not the record");
    }
    const bool goes_on = result.outcome == OpenResult::Outcome::kOpened ||
                         result.outcome == OpenResult::Outcome::kIgnored;
    if (!goes_on) {
      Require(result.outcome != OpenResult::Outcome::kNeedMore || result.missing > 0,
              "more is needed, but nothing is missing");
      return;
    }
    Require(result.consumed > 0, "a record of no bytes");
    at += result.consumed;
  }
}

}  // namespace
}  // namespace ktlsim::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
  using namespace ktlsim;
  if (bytes == 0) return 0;
  tls::RecordReader reader;
  test::Require(reader.Init(test::State(test::kSuites[data[0] % test::kSuites.size()])), "Init");
  std::vector<std::byte> wire(bytes - 1);
  if (bytes > 1) std::memcpy(wire.data(), data + 1, bytes - 1);
  test::Open(reader, std::move(wire));
  return 0;
}
