#include "kernel_sim/command/serve_report.h"

#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "kernel_sim/command/alert_counts.h"
#include "kernel_sim/command/certificate_facts.h"
#include "kernel_sim/command/result_json.h"
#include "kernel_sim/command/tls_words.h"
#include "kernel_sim/command/values.h"

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

nlohmann::json Transport(const TransportStatistics& s) {
  return {{"connections", s.opened},
          {"ended", s.ended},
          {"established", s.established},
          {"handshakes_full", s.established - s.resumed},
          {"handshakes_resumed", s.resumed},
          {"ends", Ends(s)},
          {"failures", Failures(s)},
          {"alerts_sent", AlertsJson(s.alerts_sent)},
          {"alerts_received", AlertsJson(s.alerts_received)},
          {"legs", s.legs},
          {"plaintext_received_bytes", s.plaintext_received},
          {"plaintext_sent_bytes", s.plaintext_sent},
          {"records_opened", s.records_opened},
          {"records_sealed", s.records_sealed},
          {"submissions_refused", s.submissions_refused},
          {"accepts_held", s.accepts_held},
          {"accepts_failed", s.accepts_failed},
          {"close_waits_expired", s.close_waits_expired},
          {"left",
           {{"connections", s.connections},
            {"handshakes", s.handshakes},
            {"async_contexts", s.async_contexts},
            {"security_contexts", s.security_contexts},
            {"buffers", s.buffers}}}};
}

nlohmann::json CertificatesJson(const std::optional<serve::SharedCredentials::Counts>& counts) {
  if (!counts.has_value()) return nullptr;
  return {{"kept", counts->kept},
          {"refused", counts->refused},
          {"loading", counts->loading},
          {"loads", counts->events.loads},
          {"evicted", counts->events.evicted},
          {"aged", counts->events.aged},
          {"turned_away", counts->events.turned_away}};
}

nlohmann::json Sites(const ServeReport& report) {
  nlohmann::json sites = nlohmann::json::array();
  for (const SiteReport& site : report.sites) {
    nlohmann::json json = Transport(site.statistics);
    json["address"] = site.address;
    json["mode"] = site.mode;
    json["certificate"] = CertificateJson(site.facts->certificate);
    json["certificates"] = CertificatesJson(site.certificates);
    json["tls_versions"] = WordOf(site.facts->versions, kTlsWords);
    json["cipher_suites"] = TextOrNull(site.facts->cipher_suites);
    json["groups"] = TextOrNull(site.facts->groups);
    json["alpn"] = site.facts->alpn;
    sites.push_back(std::move(json));
  }
  return sites;
}

void PrintEnds(const TransportStatistics& s, std::FILE* out) {
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
  PrintAlerts(s, out);
}

void PrintCertificates(const SiteReport& site, std::FILE* out) {
  if (!site.certificates.has_value()) return;
  const serve::SharedCredentials::Counts& counts = *site.certificates;
  fmt::print(out,
             "certificates on {}: {} kept, {} names refused, {} being read; read {} times, dropped "
             "{} for the bound and {} for their age, {} clients turned away\n",
             site.address, counts.kept, counts.refused, counts.loading, counts.events.loads,
             counts.events.evicted, counts.events.aged, counts.events.turned_away);
}

void PrintDigest(const serve::DigestStatistics& digest, std::FILE* out) {
  if (digest.requests == serve::DigestStatistics().requests) return;
  std::string words;
  for (std::size_t i = 0; i < serve::kDigestOutcomes; ++i) {
    words += fmt::format("{}{} {}", words.empty() ? "" : ", ", digest.requests[i],
                         serve::DigestOutcomeName(static_cast<serve::DigestOutcome>(i)));
  }
  fmt::print(out, "Digest: requests {}\n", words);
}

nlohmann::json DigestJson(const serve::DigestStatistics& digest) {
  nlohmann::json json = nlohmann::json::object();
  for (std::size_t i = 0; i < serve::kDigestOutcomes; ++i) {
    json[serve::DigestOutcomeName(static_cast<serve::DigestOutcome>(i))] = digest.requests[i];
  }
  return json;
}

void PrintAccess(const ServeReport& report, std::FILE* out) {
  if (!report.access) return;
  std::string words;
  for (std::size_t i = 0; i < serve::kAccessVerdicts; ++i) {
    words += fmt::format("{}{} {}", words.empty() ? "" : ", ", report.services.access.requests[i],
                         serve::AccessVerdictName(static_cast<serve::AccessVerdict>(i)));
  }
  fmt::print(out, "access: requests {}\n", words);
  const accounts::MappingStatistics& m = report.access->mappings;
  fmt::print(
      out,
      "accounts: clients {} mapped, {} without a match ({} certificates unreadable), {} with "
      "two, {} disabled, {} failed\n",
      m.mapped, m.no_match, m.unreadable, m.two_matches, m.disabled, m.failed);
  const unix_identity::SwitchFigures& switches = report.access->switches;
  if (switches.taken + switches.refused != 0) {
    fmt::print(out, "Unix users: {} taken on, {} refused\n", switches.taken, switches.refused);
  }
  if (!report.access->trail) return;
  const audit::TrailFigures& trail = *report.access->trail;
  fmt::print(out,
             "audit: {}, {} lines, {} lost, {} refused, {} failed log-ons without a line, {} "
             "attempts to write failed\n",
             audit::NameOf(trail.state), trail.lines, trail.lost, trail.refused, trail.logons_lost,
             trail.failures);
}

nlohmann::json AccessJson(const ServeReport& report) {
  if (!report.access) return nullptr;
  nlohmann::json json = nlohmann::json::object();
  for (std::size_t i = 0; i < serve::kAccessVerdicts; ++i) {
    json[serve::AccessVerdictName(static_cast<serve::AccessVerdict>(i))] =
        report.services.access.requests[i];
  }
  const accounts::MappingStatistics& m = report.access->mappings;
  json["mappings"] = {{"mapped", m.mapped},           {"no_match", m.no_match},
                      {"two_matches", m.two_matches}, {"disabled", m.disabled},
                      {"failed", m.failed},           {"unreadable", m.unreadable}};
  json["unix_users"] = {{"taken", report.access->switches.taken},
                        {"refused", report.access->switches.refused}};
  json["audit"] = nullptr;
  if (!report.access->trail) return json;
  const audit::TrailFigures& trail = *report.access->trail;
  json["audit"] = {{"state", audit::NameOf(trail.state)},
                   {"lines", trail.lines},
                   {"lost", trail.lost},
                   {"refused", trail.refused},
                   {"logons_lost", trail.logons_lost},
                   {"failures", trail.failures}};
  return json;
}

void PrintTlsStore(const sspi::TlsStoreStatistics& s, std::FILE* out) {
  if (s.key_refreshes == 0) return;
  fmt::print(out,
             "context store: {} TLS sessions looked up, {} found, {} not, {} timed out, {} failed; "
             "{} stored, {} not\n",
             s.look_ups, s.hits, s.misses, s.timed_out, s.failed, s.stored, s.not_stored);
  fmt::print(
      out,
      "ticket keys: {} made, {} taken; asked for {} times, {} of them in vain; {} handshakes "
      "without one\n",
      s.keys_made, s.keys_taken, s.key_refreshes, s.key_refreshes_failed, s.handshakes_without_key);
}

nlohmann::json TlsStoreJson(const sspi::TlsStoreStatistics& s) {
  return {{"look_ups", s.look_ups},
          {"hits", s.hits},
          {"misses", s.misses},
          {"timed_out", s.timed_out},
          {"failed", s.failed},
          {"stored", s.stored},
          {"not_stored", s.not_stored},
          {"ticket_keys_made", s.keys_made},
          {"ticket_keys_taken", s.keys_taken},
          {"ticket_key_refreshes", s.key_refreshes},
          {"ticket_key_refreshes_failed", s.key_refreshes_failed},
          {"handshakes_without_ticket_key", s.handshakes_without_key}};
}

void PrintForward(const serve::ForwardStatistics& f, std::FILE* out) {
  if (f.forwarded == 0 && f.connect_failures == 0 && f.without_backend == 0) return;
  fmt::print(out,
             "forwarded {} connections, {} without a backend; {} attempts to connect failed, {} "
             "backends reset; at most {} bytes waited in one direction\n",
             f.forwarded, f.without_backend, f.connect_failures, f.backend_resets, f.buffered_peak);
}

}  // namespace

void PrintServeReport(const ServeReport& report, bool every_call, std::FILE* out) {
  const TransportStatistics& s = report.statistics;
  fmt::print(out, "connections {}, handshakes {} full, {} resumed\n", s.opened,
             s.established - s.resumed, s.resumed);
  if (report.sites.size() > 1) {
    for (const SiteReport& site : report.sites) {
      fmt::print(out, "  {:>10}  on {} ({})\n", site.statistics.opened, site.address, site.mode);
    }
  }
  fmt::print(out, "plaintext {} bytes in, {} bytes out; records {} opened, {} sealed\n",
             s.plaintext_received, s.plaintext_sent, s.records_opened, s.records_sealed);
  PrintEnds(s, out);
  for (const SiteReport& site : report.sites) PrintCertificates(site, out);
  PrintForward(report.services.forward, out);
  PrintDigest(report.services.digest, out);
  PrintAccess(report, out);
  PrintTlsStore(report.tls_store, out);
  if (s.submissions_refused != 0 || s.accepts_held != 0) {
    fmt::print(out, "overload: {} submissions refused and tried again, accepting held {} times\n",
               s.submissions_refused, s.accepts_held);
  }
  if (s.accepts_failed != 0) {
    fmt::print(out, "out of descriptors or memory: accepting failed and was tried again {} times\n",
               s.accepts_failed);
  }
  if (report.reloads != 0 || report.reloads_refused != 0) {
    fmt::print(out, "reloads: {} carried out, {} refused\n", report.reloads,
               report.reloads_refused);
  }
  if (report.log_lines_left_out != 0 || report.log_lines_lost != 0) {
    fmt::print(out, "log: {} lines left out over the rate, {} could not be written\n",
               report.log_lines_left_out, report.log_lines_lost);
  }
  PrintLanes(report.lanes, every_call, out);
  if (!report.rundown) {
    fmt::print(out, "{} connections now, {} of them in the handshake\n", s.connections,
               s.handshakes);
  } else if (report.rundown->clean()) {
    fmt::print(out, "rundown clean\n");
  } else {
    fmt::print(out, "rundown NOT clean: {}\n", report.rundown->Leftovers());
  }
  std::fflush(out);
}

nlohmann::json ServeJson(const ServeReport& report, const Envelope& envelope) {
  nlohmann::json json = envelope.Json(report.lanes);
  json.update(Transport(report.statistics));
  json["listeners"] = Sites(report);
  const serve::ForwardStatistics& forward = report.services.forward;
  json["forward"] = {{"forwarded", forward.forwarded},
                     {"connect_failures", forward.connect_failures},
                     {"without_backend", forward.without_backend},
                     {"backend_resets", forward.backend_resets},
                     {"buffered_peak_bytes", forward.buffered_peak}};
  json["digest"] = DigestJson(report.services.digest);
  json["access"] = AccessJson(report);
  json["tls_store"] = TlsStoreJson(report.tls_store);
  json["reloads"] = report.reloads;
  json["reloads_refused"] = report.reloads_refused;
  json["log_lines_lost"] = report.log_lines_lost;
  json["log_lines_left_out"] = report.log_lines_left_out;
  json["rundown"] = nullptr;
  json["rundown_clean"] = nullptr;
  if (report.rundown) AddRundown(*report.rundown, &json);
  return json;
}

}  // namespace ktlsim::command
