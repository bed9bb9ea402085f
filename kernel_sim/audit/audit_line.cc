#include "kernel_sim/audit/audit_line.h"

#include <algorithm>

#include "kernel_sim/base/characters.h"
#include "kernel_sim/security/sid.h"

namespace ktlsim::audit {
namespace {

constexpr std::string_view kLineBegin = "{\"seq\":";
constexpr std::string_view kPreviousBegin = ",\"prev\":\"";
constexpr std::size_t kPreviousDigits = 2 * std::tuple_size_v<PreviousMac>;
constexpr std::size_t kPreviousBytes = kPreviousBegin.size() + kPreviousDigits + 1;
constexpr std::string_view kMacBegin = ",\"mac\":\"";
constexpr std::string_view kLineEnd = "\"}";
constexpr std::size_t kMacDigits = 2 * std::tuple_size_v<Mac>;
constexpr std::size_t kTailBytes = kMacBegin.size() + kMacDigits + kLineEnd.size();
constexpr std::uint64_t kFormat = 1;

LineText BeginLine(std::uint64_t sequence, std::uint64_t unix_ns, AuditEvent event,
                   std::string* out) {
  LineText text(out);
  text.Open("");
  text.Number("seq", sequence);
  text.Time("time", unix_ns);
  text.Text("event", NameOf(event));
  return text;
}

void AppendIdentity(std::string_view key, const QueuedIdentity& who, std::string_view name,
                    LineText* text) {
  if (!who.known) return;
  text->Open(key);
  text->Text("user", security::SidText(who.user).view());
  text->Hex("logon", who.logon_session());
  if (!name.empty()) text->Text("name", name);
  text->Close();
}

void AppendRights(const QueuedRecord& record, LineText* text) {
  text->Hex("desired", record.desired);
  text->Hex("granted", record.granted);
  if (!record.privileges.empty()) {
    text->OpenList("privileges");
    record.privileges.ForEach(
        [text](security::Privilege one) { text->Item(security::NameOf(one)); });
    text->CloseList();
  }
  if (record.unknown_privileges != 0) text->Number("unknown_privileges", record.unknown_privileges);
}

bool HasIds(AuditEvent event) {
  return event == AuditEvent::kStart || event == AuditEvent::kContinue;
}

// The value of a member of the line itself: its quotes cannot stand in a text.
std::string_view ValueOf(std::string_view body, std::string_view key) {
  const std::size_t at = body.find(key);
  if (at == std::string_view::npos) return {};
  const std::string_view value = body.substr(at + key.size());
  return value.substr(0, value.find('"'));
}

}  // namespace

bool IsOf(const PreviousMac& previous, const Mac& mac) {
  return std::equal(previous.begin(), previous.end(), mac.begin());
}

std::optional<ParsedLine> ParseLine(std::string_view line) {
  if (!line.starts_with(kLineBegin) ||
      line.size() < kLineBegin.size() + kPreviousBytes + kTailBytes) {
    return std::nullopt;
  }
  ParsedLine parsed;
  parsed.body = line.substr(0, line.size() - kTailBytes);
  const std::string_view tail = line.substr(parsed.body.size());
  const std::string_view previous = parsed.body.substr(parsed.body.size() - kPreviousBytes);
  const std::string_view after = line.substr(kLineBegin.size());
  const std::string_view digits = after.substr(0, after.find(','));
  if (!tail.starts_with(kMacBegin) || !tail.ends_with(kLineEnd) ||
      !ReadHex(tail.substr(kMacBegin.size(), kMacDigits), parsed.mac) ||
      !previous.starts_with(kPreviousBegin) || !previous.ends_with('"') ||
      !ReadHex(previous.substr(kPreviousBegin.size(), kPreviousDigits), parsed.previous) ||
      (digits.size() > 1 && digits.front() == '0') ||
      ReadNumber(digits, &parsed.sequence) != std::errc()) {
    return std::nullopt;
  }
  return parsed;
}

std::optional<LineIds> IdsOfLine(std::string_view body) {
  LineIds ids;
  if (!ReadHex(ValueOf(body, ",\"log\":\""), ids.log) ||
      !ReadHex(ValueOf(body, ",\"key\":\""), ids.key)) {
    return std::nullopt;
  }
  return ids;
}

void AppendRecordBody(const QueuedRecord& record, std::uint64_t sequence, std::string* out) {
  LineText text = BeginLine(sequence, record.unix_ns, record.event, out);
  text.Text("outcome", record.success ? "success" : "failure");
  if (record.reason != LogonFailure::kNone) text.Text("reason", NameOf(record.reason));
  AppendIdentity("client", record.client, record.client_name(), &text);
  if (!record.client.known && !record.client_name().empty()) {
    text.Text("claimed", record.client_name());
  }
  AppendIdentity("server", record.server, {}, &text);
  text.Text("subsystem", record.subsystem());
  if (record.handle_id != 0) text.Hex("handle", record.handle_id);
  if (!record.object_type().empty()) text.Text("type", record.object_type());
  text.Text("object", record.object());
  if (record.event != AuditEvent::kLogon) AppendRights(record, &text);
  if (record.creation) text.True("creation");
  if (record.cut) text.True("cut");
  if (record.context_id != 0) text.Number("context", record.context_id);
  if (record.connection_id != 0) text.Number("connection", record.connection_id);
}

void AppendTrailBody(const TrailRecord& record, std::uint64_t sequence, std::string* out) {
  LineText text = BeginLine(sequence, record.unix_ns, record.event, out);
  if (HasIds(record.event)) {
    text.Number("format", kFormat);
    text.Bytes("log", record.ids.log);
    text.Bytes("key", record.ids.key);
    text.Number("file", record.file);
  }
  const bool counts = record.event == AuditEvent::kLost || record.event == AuditEvent::kRefused ||
                      record.event == AuditEvent::kLogonsLost;
  if (counts) text.Number("count", record.count);
  if (record.event == AuditEvent::kResume) {
    text.Number("unsealed", record.count);
    text.Number("dropped_bytes", record.dropped);
  }
}

void AppendPrevious(const Mac& mac, std::string* out) {
  out->append(kPreviousBegin);
  AppendHex(std::span(mac).first<std::tuple_size_v<PreviousMac>>(), out);
  out->append("\"");
}

void AppendMac(const Mac& mac, std::string* out) {
  out->append(kMacBegin);
  AppendHex(mac, out);
  out->append(kLineEnd).append("\n");
}

}  // namespace ktlsim::audit
