#include "kernel_sim/command/serve_report.h"

#include <fstream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace ktlsim::command {
namespace {

using transport::EndKind;
using transport::FailureClass;
using transport::TransportStatistics;

nlohmann::json Ends(const TransportStatistics& statistics) {
  nlohmann::json ends = nlohmann::json::object();
  for (std::size_t i = 0; i < transport::kEndKinds; ++i) {
    ends[transport::EndKindName(static_cast<EndKind>(i))] = statistics.ended_by[i];
  }
  return ends;
}

nlohmann::json Failures(const TransportStatistics& statistics) {
  nlohmann::json failures = nlohmann::json::object();
  for (std::size_t i = 1; i < transport::kFailureClasses; ++i) {
    failures[transport::FailureClassName(static_cast<FailureClass>(i))] = statistics.failed_by[i];
  }
  return failures;
}

}  // namespace

void PrintServeReport(const ServeReport& report, std::FILE* out) {
  const TransportStatistics& s = report.statistics;
  fmt::print(out, "connections {}, handshakes {} full, {} resumed\n", s.opened,
             s.established - s.resumed, s.resumed);
  fmt::print(out, "plaintext {} bytes in, {} bytes out; records {} opened, {} sealed\n",
             s.plaintext_received, s.plaintext_sent, s.records_opened, s.records_sealed);
  for (std::size_t i = 0; i < transport::kEndKinds; ++i) {
    if (s.ended_by[i] == 0) continue;
    fmt::print(out, "  {:>10}  {}\n", s.ended_by[i],
               transport::EndKindText(static_cast<EndKind>(i)));
  }
  for (std::size_t i = 1; i < transport::kFailureClasses; ++i) {
    if (s.failed_by[i] == 0) continue;
    fmt::print(out, "  {:>10}  failed: {}\n", s.failed_by[i],
               transport::FailureClassText(static_cast<FailureClass>(i)));
  }
  if (s.submissions_refused != 0 || s.accepts_held != 0) {
    fmt::print(out, "overload: {} submissions refused and tried again, accepting held {} times\n",
               s.submissions_refused, s.accepts_held);
  }
  if (report.rundown.clean()) {
    fmt::print(out, "rundown clean\n");
  } else {
    fmt::print(out, "rundown NOT clean: {}\n", report.rundown.Leftovers());
  }
}

bool WriteServeJson(const ServeReport& report, const std::string& path) {
  const TransportStatistics& s = report.statistics;
  nlohmann::json rundown = nlohmann::json::object();
  for (const auto& [name, left] : report.rundown.counters) rundown[name] = left;
  const nlohmann::json json = {{"address", report.address},
                               {"connections", s.opened},
                               {"ended", s.ended},
                               {"established", s.established},
                               {"handshakes_full", s.established - s.resumed},
                               {"handshakes_resumed", s.resumed},
                               {"ends", Ends(s)},
                               {"failures", Failures(s)},
                               {"legs", s.legs},
                               {"plaintext_received", s.plaintext_received},
                               {"plaintext_sent", s.plaintext_sent},
                               {"records_opened", s.records_opened},
                               {"records_sealed", s.records_sealed},
                               {"submissions_refused", s.submissions_refused},
                               {"accepts_held", s.accepts_held},
                               {"close_waits_expired", s.close_waits_expired},
                               {"left",
                                {{"connections", s.connections},
                                 {"handshakes", s.handshakes},
                                 {"async_contexts", s.async_contexts},
                                 {"security_contexts", s.security_contexts},
                                 {"buffers", s.buffers}}},
                               {"rundown", rundown},
                               {"rundown_clean", report.rundown.clean()}};
  std::ofstream file(path);
  file << json.dump(2) << '\n';
  file.close();
  return !file.fail();
}

}  // namespace ktlsim::command
