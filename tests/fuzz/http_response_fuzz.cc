// Responses of a server, as `ktlsim load` reads them.
#include <span>

#include "kernel_sim/command/http_response_reader.h"
#include "tests/fuzz/fuzz.h"

namespace ktlsim::test {
namespace {

using command::HttpResponseReader;

HttpResponseReader::Outcome ReadAll(std::span<const std::byte> input, std::size_t step) {
  std::uint64_t next = 0;
  HttpResponseReader reader([&next](std::uint64_t offset, std::span<const std::byte> bytes) {
    Require(offset == next, "the body is not in order");
    next += bytes.size();
    return true;
  });
  reader.Reset();
  for (std::size_t at = 0; at < input.size(); at += step) {
    const auto outcome = reader.Read(input.subspan(at, std::min(step, input.size() - at)));
    if (outcome != HttpResponseReader::Outcome::kNeedMore) return outcome;
  }
  return reader.Finish();
}

}  // namespace
}  // namespace ktlsim::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
  using namespace ktlsim::test;
  const auto input = std::as_bytes(std::span(data, bytes));
  ReadAll(input, std::max<std::size_t>(bytes, 1));
  ReadAll(input, 3);
  return 0;
}
