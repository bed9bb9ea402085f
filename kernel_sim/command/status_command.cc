// `ktlsim status`: statuses and TLS alerts in words.

#include <ktlsim/sspi_ext.h>

#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "kernel_sim/base/characters.h"
#include "kernel_sim/command/command.h"
#include "kernel_sim/command/values.h"
#include "kernel_sim/sspi/packages/tls_status.h"
#include "kernel_sim/transport/end_reason.h"

namespace ktlsim::command {
namespace {

constexpr int kAlertsMax = 256;
constexpr int kCloseNotify = 0;
constexpr std::string_view kNoAlert = "alert";  // AlertName of a number without a name

bool IsAlert(int description) { return transport::AlertName(description) != kNoAlert; }

SECURITY_STATUS StatusOfAlert(int description) {
  return sspi::StatusOfReceivedAlert(static_cast<tls::AlertDescription>(description));
}

// The alerts that become `status` when they are received. Many become SEC_E_ILLEGAL_MESSAGE.
std::string AlertsOf(SECURITY_STATUS status) {
  std::string names;
  for (int alert = 1; alert < kAlertsMax; ++alert) {
    if (!IsAlert(alert) || StatusOfAlert(alert) != status) continue;
    names +=
        fmt::format("{}{} ({})", names.empty() ? "" : ", ", transport::AlertName(alert), alert);
  }
  return names;
}

void PrintStatus(SECURITY_STATUS status) {
  fmt::print("{:#010x}  {}\n    {}\n", static_cast<std::uint32_t>(status),
             transport::StatusName(status), KtlsimStatusText(status));
  if (const std::string alerts = AlertsOf(status); !alerts.empty()) {
    fmt::print("    received alerts with this status: {}\n", alerts);
  }
}

void PrintAlert(int description) {
  if (description == kCloseNotify) {
    fmt::print("alert {}  {}\n    no error: the peer sends no more; DecryptMessage returns {}\n",
               description, transport::AlertName(description),
               transport::StatusName(SEC_I_CONTEXT_EXPIRED));
    return;
  }
  fmt::print("alert {}  {}\n    received, it becomes {}\n", description,
             transport::AlertName(description), transport::StatusName(StatusOfAlert(description)));
}

// "0x80090326", "-2146893018", "2148074278".
std::optional<std::uint32_t> ParseCode(std::string_view text) {
  const bool hexadecimal = text.starts_with("0x") || text.starts_with("0X");
  const bool negative = text.starts_with('-');
  const std::string_view digits = text.substr(hexadecimal ? 2 : negative ? 1 : 0);
  std::uint64_t number = 0;
  if (ReadNumber(digits, &number, hexadecimal ? 16 : 10) != std::errc()) return {};
  if (number > (negative ? 0x80000000ULL : 0xffffffffULL)) return {};
  return static_cast<std::uint32_t>(negative ? 0 - number : number);
}

std::optional<int> AlertByName(std::string_view name) {
  for (int alert = 0; alert < kAlertsMax; ++alert) {
    if (IsAlert(alert) && name == transport::AlertName(alert)) return alert;
  }
  return {};
}

// False: `text` names nothing.
bool Explain(const std::string& text) {
  SECURITY_STATUS status = SEC_E_OK;
  if (KtlsimStatusFromName(text.c_str(), &status) == SEC_E_OK) {
    PrintStatus(status);
    return true;
  }
  if (const std::optional<int> alert = AlertByName(text)) {
    PrintAlert(*alert);
    return true;
  }
  const std::optional<std::uint32_t> number = ParseCode(text);
  if (!number) return false;
  const bool alert = *number < kAlertsMax && IsAlert(static_cast<int>(*number));
  if (alert) PrintAlert(static_cast<int>(*number));
  status = static_cast<SECURITY_STATUS>(*number);
  if (!alert || KtlsimStatusName(status) != nullptr) PrintStatus(status);
  return true;
}

int RunStatus(const std::vector<std::string>& codes) {
  for (const std::string& code : codes) {
    if (Explain(code)) continue;
    fmt::print(stderr,
               "ktlsim status: \"{}\" is neither a number nor the name of a status or an alert; "
               "write one like 0x80090326, SEC_E_UNTRUSTED_ROOT, 48 or unknown_ca\n",
               Printable(code));
    return kExitUsage;
  }
  return kExitOk;
}

}  // namespace

std::function<int()> AddStatusCommand(CLI::App& app) {
  CLI::App* command = app.add_subcommand("status", "A status or a TLS alert in words");
  command->group("Commands");
  command->footer(
      "A code is a number (0x80090326, -2146893018, 48) or a name (SEC_E_UNTRUSTED_ROOT, "
      "unknown_ca). Numbers up to 255 are alerts.\n\nExample: ktlsim status 0x80090325 unknown_ca");
  auto codes = std::make_shared<std::vector<std::string>>();
  command->add_option("CODE", *codes, "What to explain; several for more")
      ->type_name("")
      ->required();
  // "-2146893018" is a code, not an option.
  command->allow_extras(false)->prefix_command(false);
  return [codes] { return RunStatus(*codes); };
}

}  // namespace ktlsim::command
