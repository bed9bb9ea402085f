// A log and its head, as somebody may have left them. The first byte says where the head ends, in
// units of 64 bytes; nothing but an empty log without a head is a good trail.
#include <algorithm>
#include <string_view>

#include "kernel_sim/audit/log_verifier.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace ktlsim;         // NOLINT(google-build-using-namespace)
using namespace ktlsim::audit;  // NOLINT(google-build-using-namespace)

constexpr std::string_view kFuzzSecret = "0123456789abcdef0123456789abcdef";

void TakeLines(std::string_view log, LogVerifier* verifier) {
  verifier->BeginFile();
  for (std::size_t end = log.find('\n'); end != std::string_view::npos; end = log.find('\n')) {
    verifier->TakeLine(log.substr(0, end), true);
    log.remove_prefix(end + 1);
  }
  if (!log.empty()) verifier->TakeLine(log, false);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
  std::string_view text(reinterpret_cast<const char*>(data), bytes);
  const std::size_t head_bytes =
      text.empty() ? 0 : std::min(std::size_t{64} * data[0], text.size() - 1);
  const std::string_view head = text.substr(text.empty() ? 0 : 1, head_bytes);
  const std::string_view log = text.substr(text.empty() ? 0 : 1 + head_bytes);
  const auto secret = std::as_bytes(std::span(kFuzzSecret.data(), kFuzzSecret.size()));
  const std::unique_ptr<LogVerifier> verifier =
      LogVerifier::Create(secret, head, {.steps_max = 256});
  test::Require(verifier != nullptr, "no verifier");
  TakeLines(log, verifier.get());
  const VerifyReport report = verifier->Finish();
  test::Require(report.findings.size() <= report.found, "more findings than were found");
  test::Require(report.genuine == 0 || report.first <= report.last, "lines in no order");
  for (const Finding& one : report.findings) {
    test::Require(one.first <= one.last, "a finding of no line");
    test::Require(one.line <= bytes + 1, "a finding behind the log");
  }
  return 0;
}
