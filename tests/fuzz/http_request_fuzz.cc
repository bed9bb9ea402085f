// Requests of a client, whole and in pieces: the result does not depend on the cuts.
#include <span>
#include <string>

#include "kernel_sim/serve/http_request_reader.h"
#include "tests/fuzz/fuzz.h"

namespace ktlsim::test {
namespace {

using serve::HttpRequestReader;

// What was read, in words.
std::string ReadAll(std::span<const std::byte> input, std::size_t step) {
  serve::HttpRequestLimits limits;
  limits.head_bytes_max = 512;
  limits.body_bytes_max = 4096;
  HttpRequestReader reader(limits);
  std::string read;
  std::size_t end = std::min(step, input.size());
  std::size_t at = 0;
  while (true) {
    std::size_t consumed = 0;
    const HttpRequestReader::Outcome outcome = reader.Read(input.subspan(at, end - at), &consumed);
    Require(consumed <= end - at, "more is consumed than there was");
    at += consumed;
    switch (outcome) {
      case HttpRequestReader::Outcome::kNeedMore:
        Require(at == end, "bytes are left over");
        if (end == input.size()) return read;
        end = std::min(end + step, input.size());
        break;
      case HttpRequestReader::Outcome::kContinue:
        read += "continue ";
        break;
      case HttpRequestReader::Outcome::kRequest:
        read += std::string(reader.request().path()) + (reader.request().keep_alive ? "+ " : "- ");
        if (!reader.request().keep_alive) return read;
        break;
      case HttpRequestReader::Outcome::kRefused:
        Require(reader.refusal() >= 400 && reader.refusal() < 600, "a refusal without its status");
        return read + std::to_string(reader.refusal());
    }
  }
}

}  // namespace
}  // namespace ktlsim::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
  using namespace ktlsim::test;
  const auto input = std::as_bytes(std::span(data, bytes));
  const std::string whole = ReadAll(input, std::max<std::size_t>(bytes, 1));
  Require(ReadAll(input, 1) == whole, "byte by byte something else is read");
  Require(ReadAll(input, 7) == whole, "in pieces something else is read");
  return 0;
}
