// A line of a trail: a JSON object that begins with its sequence number and ends with its MAC.
//
//   {"seq":7,"time":"...","event":"access",...,"prev":"<32 digits>","mac":"<64 digits>"}
//
// The MAC is over all bytes before `,"mac":`. `prev` is the first half of the MAC of the line
// before, so that of two lines that were made with one key only one has the lines after it.
//
// Private to audit/.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "kernel_sim/audit/audit_key.h"
#include "kernel_sim/audit/line_text.h"
#include "kernel_sim/audit/record_queue.h"

namespace ktlsim::audit {

// Without the line feed.
inline constexpr std::size_t kLineBytesMax =
    kEscapedBytesMax * (kObjectBytesMax + 3 * kNameBytesMax) + 4096;

// As much of the MAC of the line before as a line has; zeros in line 0.
using PreviousMac = std::array<std::byte, 16>;
// Whether it is part of that MAC.
bool IsOf(const PreviousMac& previous, const Mac& mac);

struct ParsedLine {
  std::uint64_t sequence = 0;
  std::string_view body;  // what the MAC is over
  PreviousMac previous{};
  Mac mac{};
};
// None: the line does not begin and end as one does. Its MAC is not looked at.
std::optional<ParsedLine> ParseLine(std::string_view line);

// Which trail a line says it is of. Only the first line of a file does.
struct LineIds {
  LogId log{};
  KeyId key{};
};
std::optional<LineIds> IdsOfLine(std::string_view body);

// The bodies of lines, up to the MAC; `*out` has room for kLineBytesMax more.
void AppendRecordBody(const QueuedRecord& record, std::uint64_t sequence, std::string* out);

// A record of the trail about itself.
struct TrailRecord {
  AuditEvent event = AuditEvent::kStart;
  std::uint64_t unix_ns = 0;
  LineIds ids = {};        // kStart, kContinue
  std::uint64_t file = 0;  // kContinue: its number
  std::uint64_t count =
      0;  // kLost, kRefused, kLogonsLost: how many; kResume: lines that no head covered
  std::uint64_t dropped = 0;  // kResume: bytes of a line that was not whole
};
void AppendTrailBody(const TrailRecord& record, std::uint64_t sequence, std::string* out);

// The end of the body: which line comes before.
void AppendPrevious(const Mac& mac, std::string* out);
// The end of the line whose body has been appended: its MAC and the line feed.
void AppendMac(const Mac& mac, std::string* out);

}  // namespace ktlsim::audit
