#include "kernel_sim/command/failure_hints.h"

#include <sspi.h>

#include <string>

#include <gtest/gtest.h>

#include "kernel_sim/command/load_settings.h"

namespace ktlsim::command {
namespace {

using transport::EndKind;
using transport::EndReason;

std::string Hint(EndKind kind, SECURITY_STATUS status, int received_alert) {
  return ClientHint({.kind = kind, .status = status, .received_alert = received_alert});
}

bool IsOption(const std::string& name) {
  for (const auto& setting : LoadSettings()) {
    if (name == setting.name) return true;
  }
  return false;
}

// Every word of `hint` that looks like an option is an option of `load`.
void ExpectOptions(const std::string& hint) {
  for (std::size_t at = hint.find("--"); at != std::string::npos; at = hint.find("--", at + 2)) {
    const std::size_t end = hint.find_first_not_of("abcdefghijklmnopqrstuvwxyz-", at + 2);
    EXPECT_TRUE(IsOption(hint.substr(at + 2, end - at - 2))) << hint;
  }
}

TEST(FailureHintsTest, NameOptionsThatExist) {
  unsigned hints = 0;
  for (int alert = 0; alert < 256; ++alert) {
    const std::string hint = Hint(EndKind::kRecordFailed, SEC_E_ILLEGAL_MESSAGE, alert);
    ExpectOptions(hint);
    if (!hint.empty()) ++hints;
  }
  EXPECT_GE(hints, 10U);
  for (const SECURITY_STATUS status : {SEC_E_UNTRUSTED_ROOT, SEC_E_WRONG_PRINCIPAL,
                                       SEC_E_CERT_EXPIRED, SEC_E_ALGORITHM_MISMATCH}) {
    const std::string hint = Hint(EndKind::kHandshakeFailed, status, -1);
    EXPECT_NE(hint, "");
    ExpectOptions(hint);
  }
}

// The same status: once we refuse the server, once it refuses us.
TEST(FailureHintsTest, TellWhoRefused) {
  EXPECT_NE(Hint(EndKind::kHandshakeFailed, SEC_E_UNTRUSTED_ROOT, -1).find("--ca"),
            std::string::npos);
  EXPECT_NE(Hint(EndKind::kHandshakeFailed, SEC_E_UNTRUSTED_ROOT, 48).find("--cert"),
            std::string::npos);
  EXPECT_EQ(Hint(EndKind::kCompleted, SEC_E_OK, -1), "");
  EXPECT_EQ(Hint(EndKind::kHandshakeFailed, SEC_E_INTERNAL_ERROR, -1), "");
}

}  // namespace
}  // namespace ktlsim::command
