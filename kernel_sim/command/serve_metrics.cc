#include "kernel_sim/command/serve_metrics.h"

#include <ktlsim/sspi_ext.h>

#include <algorithm>
#include <array>
#include <string_view>

#include <fmt/format.h>

#include "kernel_sim/command/metrics_text.h"
#include "kernel_sim/transport/end_reason.h"

namespace ktlsim::command {
namespace {

using transport::TransportStatistics;
using MetricsLabels = MetricsText::Labels;

constexpr std::array<const char*, KTLSIM_LANES> kLaneLabels = {"record", "handshake"};

// ---- Connections

void AddHandshakes(const TransportStatistics& s, MetricsText& text) {
  text.Counter("ktlsim_connections", "Connections accepted.");
  text.Add(s.opened);
  text.Gauge("ktlsim_open_connections", "Connections open now.");
  text.Add(s.connections);
  text.Gauge("ktlsim_open_handshakes", "Of the open connections, those not established yet.");
  text.Add(s.handshakes);
  text.Counter("ktlsim_handshakes", "Handshakes completed.");
  text.Add(s.established - s.resumed, {{"resumed", "no"}});
  text.Add(s.resumed, {{"resumed", "yes"}});
  text.Counter("ktlsim_handshake_legs", "Calls of AcceptSecurityContext that have ended.");
  text.Add(s.legs);
}

void AddEnds(const TransportStatistics& s, MetricsText& text) {
  text.Counter("ktlsim_connections_ended", "Connections that have ended, by the reason.");
  for (std::size_t i = 0; i < transport::kEndKinds; ++i) {
    text.Add(s.ended_by[i],
             {{"reason", transport::EndKindName(static_cast<transport::EndKind>(i))}});
  }
  text.Counter("ktlsim_failures", "Failures of handshakes and records, by the class.");
  for (std::size_t i = 1; i < transport::kFailureClasses; ++i) {
    text.Add(s.failed_by[i],
             {{"class", transport::FailureClassName(static_cast<transport::FailureClass>(i))}});
  }
  text.Counter("ktlsim_alerts", "Alerts of connections that have failed.");
  for (std::size_t i = 0; i < transport::kAlertKinds; ++i) {
    text.Add(s.alerts_sent[i], {{"direction", "sent"}, {"alert", transport::AlertKindName(i)}});
  }
  for (std::size_t i = 0; i < transport::kAlertKinds; ++i) {
    text.Add(s.alerts_received[i],
             {{"direction", "received"}, {"alert", transport::AlertKindName(i)}});
  }
}

void AddTraffic(const TransportStatistics& s, MetricsText& text) {
  text.Counter("ktlsim_plaintext_bytes", "Bytes of plaintext.");
  text.Add(s.plaintext_received, {{"direction", "received"}});
  text.Add(s.plaintext_sent, {{"direction", "sent"}});
  text.Counter("ktlsim_records", "TLS records.");
  text.Add(s.records_opened, {{"direction", "opened"}});
  text.Add(s.records_sealed, {{"direction", "sealed"}});
  text.Counter("ktlsim_socket_sends", "Sends on sockets.");
  text.Add(s.socket_sends);
  text.Counter("ktlsim_submissions_refused",
               "Calls that the library refused because its queue was full.");
  text.Add(s.submissions_refused);
  text.Counter("ktlsim_accepts_held", "Times that accepting was held back.");
  text.Add(s.accepts_held);
  text.Counter("ktlsim_accepts_failed", "Failed accepts: out of descriptors or memory.");
  text.Add(s.accepts_failed);
  text.Counter("ktlsim_close_waits_expired", "Clients that have not closed in time after us.");
  text.Add(s.close_waits_expired);
  text.Gauge("ktlsim_buffers", "Send, token and input buffers in use.");
  text.Add(s.buffers);
}

void AddHandshakeTimes(const ServeMetrics& metrics, MetricsText& text) {
  using Classes = transport::HandshakeClasses;
  text.Histogram("ktlsim_handshake_duration",
                 "From accepting a connection until it is established, by what was negotiated.");
  for (const transport::HandshakeFigures& figures : metrics.handshakes) {
    std::array<MetricsText::TimeClass, Classes::kClasses - 1> classes{};
    for (std::size_t i = 0; i < classes.size(); ++i) {
      classes[i] = {Classes::End(i) - 1, figures.calls[i]};
    }
    text.AddTimes(classes, figures.calls.back(), figures.total_ns,
                  {{"version", figures.version},
                   {"suite", figures.suite},
                   {"group", figures.group},
                   {"resumed", figures.resumed ? "yes" : "no"}});
  }
  text.Counter("ktlsim_handshake_durations_left_out",
               "Handshakes without a duration, for lack of memory.");
  text.Add(metrics.handshakes_left_out);
}

// ---- Listeners

// One series for each listener.
template <typename Value>
void AddBySite(const ServeReport& report, MetricsText& text, Value value) {
  for (const SiteReport& site : report.sites) {
    text.Add(value(site.statistics), {{"listener", site.address}, {"mode", site.mode}});
  }
}

void AddSites(const ServeReport& report, MetricsText& text) {
  text.Counter("ktlsim_listener_connections", "Connections accepted, of the listeners of now.");
  AddBySite(report, text, [](const TransportStatistics& s) { return s.opened; });
  text.Gauge("ktlsim_listener_open_connections", "Connections open now.");
  AddBySite(report, text, [](const TransportStatistics& s) { return s.connections; });
  text.Counter("ktlsim_listener_handshakes", "Handshakes completed, resumed ones included.");
  AddBySite(report, text, [](const TransportStatistics& s) { return s.established; });
  text.Counter("ktlsim_listener_received_bytes", "Plaintext received.");
  AddBySite(report, text, [](const TransportStatistics& s) { return s.plaintext_received; });
  text.Counter("ktlsim_listener_sent_bytes", "Plaintext sent.");
  AddBySite(report, text, [](const TransportStatistics& s) { return s.plaintext_sent; });
}

void AddCertificates(const ServeReport& report, MetricsText& text) {
  using Counts = serve::SharedCredentials::Counts;
  const auto add = [&](const char* state, auto value) {
    for (const SiteReport& site : report.sites) {
      if (!site.certificates) continue;
      text.Add(value(*site.certificates), {{"listener", site.address}, {"what", state}});
    }
  };
  if (std::ranges::none_of(report.sites,
                           [](const SiteReport& site) { return site.certificates.has_value(); })) {
    return;
  }
  text.Gauge("ktlsim_certificate_names", "Names of a folder of certificates, by their state.");
  add("kept", [](const Counts& c) { return c.kept; });
  add("refused", [](const Counts& c) { return c.refused; });
  add("loading", [](const Counts& c) { return c.loading; });
  text.Counter("ktlsim_certificate_events", "What became of certificates of a folder.");
  add("loaded", [](const Counts& c) { return c.events.loads; });
  add("evicted", [](const Counts& c) { return c.events.evicted; });
  add("aged", [](const Counts& c) { return c.events.aged; });
  add("client_turned_away", [](const Counts& c) { return c.events.turned_away; });
}

// ---- Services

void AddServices(const ServeReport& report, MetricsText& text) {
  const serve::ForwardStatistics& forward = report.services.forward;
  text.Counter("ktlsim_forwarded_connections", "Connections that got a backend.");
  text.Add(forward.forwarded);
  text.Counter("ktlsim_backend_failures", "What went wrong with backends.");
  text.Add(forward.connect_failures, {{"what", "connect"}});
  text.Add(forward.without_backend, {{"what", "none_available"}});
  text.Add(forward.backend_resets, {{"what", "reset"}});
  text.Gauge("ktlsim_forward_buffered_peak_bytes",
             "The most that one connection had waiting in one direction.");
  text.Add(forward.buffered_peak);
  text.Counter("ktlsim_digest_requests", "Requests to what Digest protects, by the outcome.");
  for (std::size_t i = 0; i < serve::kDigestOutcomes; ++i) {
    text.Add(report.services.digest.requests[i],
             {{"outcome", serve::DigestOutcomeName(static_cast<serve::DigestOutcome>(i))}});
  }
}

void AddAccess(const ServeReport& report, MetricsText& text) {
  if (!report.access) return;
  text.Counter("ktlsim_access_requests", "Requests to what has an access control list.");
  for (std::size_t i = 0; i < serve::kAccessVerdicts; ++i) {
    text.Add(report.services.access.requests[i],
             {{"verdict", serve::AccessVerdictName(static_cast<serve::AccessVerdict>(i))}});
  }
  const accounts::MappingStatistics& m = report.access->mappings;
  text.Counter("ktlsim_account_mappings", "Clients that were looked up among the accounts.");
  text.Add(m.mapped, {{"outcome", "mapped"}});
  text.Add(m.no_match, {{"outcome", "no_match"}});
  text.Add(m.two_matches, {{"outcome", "two_matches"}});
  text.Add(m.disabled, {{"outcome", "disabled"}});
  text.Add(m.failed, {{"outcome", "failed"}});
  text.Counter("ktlsim_account_certificates_unreadable",
               "Certificates that could not be read, of the clients without a match.");
  text.Add(m.unreadable);
  if (!report.access->trail) return;
  const audit::TrailFigures& trail = *report.access->trail;
  text.Counter("ktlsim_audit_lines", "Lines of the audit trail.");
  text.Add(trail.lines, {{"outcome", "written"}});
  text.Add(trail.lost, {{"outcome", "lost"}});
  text.Add(trail.refused, {{"outcome", "refused"}});
  text.Add(trail.logons_lost, {{"outcome", "logons_lost"}});
  text.Counter("ktlsim_audit_write_failures", "Attempts to write the audit trail that failed.");
  text.Add(trail.failures);
  text.Gauge("ktlsim_audit_failing",
             "1: the last attempt to write the audit trail failed; it is tried again.");
  text.Add(trail.state == audit::TrailState::kFailing ? 1 : 0);
}

void AddTlsStore(const sspi::TlsStoreStatistics& s, MetricsText& text) {
  text.Counter("ktlsim_store_session_lookups", "TLS 1.2 sessions looked up in the context store.");
  text.Add(s.hits, {{"outcome", "found"}});
  text.Add(s.misses, {{"outcome", "missing"}});
  text.Add(s.timed_out, {{"outcome", "timed_out"}});
  text.Add(s.failed, {{"outcome", "failed"}});
  text.Counter("ktlsim_store_sessions", "TLS 1.2 sessions given to the context store.");
  text.Add(s.stored, {{"outcome", "stored"}});
  text.Add(s.not_stored, {{"outcome", "not_stored"}});
  text.Counter("ktlsim_ticket_keys", "Keys of session tickets.");
  text.Add(s.keys_made, {{"origin", "made"}});
  text.Add(s.keys_taken, {{"origin", "taken"}});
  text.Counter("ktlsim_ticket_key_refreshes",
               "Times that the store was asked for ticket keys, once that is over.");
  text.Add(s.key_refreshes_ok, {{"outcome", "ok"}});
  text.Add(s.key_refreshes_failed, {{"outcome", "failed"}});
  text.Counter("ktlsim_handshakes_without_ticket_key", "Handshakes that could make no ticket.");
  text.Add(s.handshakes_without_key);
}

void AddServer(const ServeMetrics& metrics, MetricsText& text) {
  text.Gauge("ktlsim_build_info", "1, with the version as a label.");
  text.Add(1, {{"version", KTLSIM_VERSION}});
  text.Gauge("ktlsim_start_time_seconds", "When the server was started, since 1970.");
  text.AddSeconds(metrics.started_unix_ns);
  text.Gauge("ktlsim_ready", "1: connections are accepted.");
  text.Add(metrics.phase == ServePhase::kReady ? 1 : 0);
  text.Gauge("ktlsim_draining", "1: the server ends, and connections finish.");
  text.Add(metrics.phase == ServePhase::kDraining ? 1 : 0);
  text.Counter("ktlsim_reloads", "Reloads of the configuration.");
  text.Add(metrics.report.reloads, {{"outcome", "carried_out"}});
  text.Add(metrics.report.reloads_refused, {{"outcome", "refused"}});
  text.Counter("ktlsim_log_lines_missing", "Lines that are not in the log.");
  text.Add(metrics.report.log_lines_left_out, {{"reason", "rate"}});
  text.Add(metrics.report.log_lines_lost, {{"reason", "lost"}});
}

// ---- The library

void AddLibrary(MetricsText& text) {
  KtlsimStatistics all{};
  all.cbSize = sizeof(all);
  if (KtlsimQueryStatistics(&all) != SEC_E_OK) return;
  text.Counter("ktlsim_calls_accepted", "Calls of the library that were queued.");
  text.Add(all.cAccepted);
  text.Counter("ktlsim_callbacks", "Callbacks of the library.");
  text.Add(all.cCallbacks);
  text.Gauge("ktlsim_calls_in_flight", "Calls accepted and not over.");
  text.Add(all.cInFlight);
  text.Gauge("ktlsim_calls_suspended", "Of these, those that wait for something else.");
  text.Add(all.cSuspended);
  text.Gauge("ktlsim_security_contexts", "Security contexts that exist.");
  text.Add(all.cSecurityContexts);
  text.Gauge("ktlsim_credentials", "Credentials that exist.");
  text.Add(all.cCredentials);
  text.Gauge("ktlsim_async_contexts", "Async contexts that exist.");
  text.Add(all.cAsyncContexts);
  text.Gauge("ktlsim_notify_threads", "Threads of the notification pool.");
  text.Add(all.cNotifyThreads);
  text.Counter("ktlsim_notify_threads_refused", "Threads that the system did not make.");
  text.Add(all.cNotifyThreadsRefused);
  text.Counter("ktlsim_misuse", "Broken rules of the contract.");
  text.Add(all.cMisuse);
}

struct ProcessorFigures {
  std::string index;
  KtlsimProcessorStatistics statistics{};

  std::string_view role() const { return statistics.szRole; }
};

std::vector<ProcessorFigures> ReadProcessors() {
  std::vector<ProcessorFigures> all;
  KtlsimProcessorStatistics one{};
  one.cbSize = sizeof(one);
  for (ULONG i = 0; KtlsimQueryProcessorStatistics(i, &one) == SEC_E_OK; ++i) {
    all.push_back({fmt::to_string(i), one});
  }
  return all;
}

struct LaneFigure {
  ULONGLONG KtlsimLaneStatistics::* figure;
  const char* name;
  const char* help;
};
constexpr std::array kLaneCounters = {
    LaneFigure{&KtlsimLaneStatistics::cCompleted, "ktlsim_calls_completed",
               "Calls that are over, cancelled ones and those over their limit included."},
    LaneFigure{&KtlsimLaneStatistics::cRefused, "ktlsim_calls_refused",
               "Calls refused because the queue was full."},
    LaneFigure{&KtlsimLaneStatistics::cCancelled, "ktlsim_calls_cancelled", "Calls cancelled."},
    LaneFigure{&KtlsimLaneStatistics::cQueueTimeouts, "ktlsim_calls_timed_out",
               "Calls that have waited in a queue for too long."}};

struct LaneTime {
  KtlsimHistogram KtlsimLaneStatistics::* histogram;
  const char* name;
  const char* help;
};
constexpr std::array kLaneTimes = {
    LaneTime{&KtlsimLaneStatistics::Queued, "ktlsim_call_queue_wait",
             "From accepting a call to its first run; a sample, see ktlsim_call_sample_interval."},
    LaneTime{&KtlsimLaneStatistics::Served, "ktlsim_call_service",
             "From there to the status, suspensions included; a sample."},
    LaneTime{&KtlsimLaneStatistics::Notified, "ktlsim_call_notification",
             "From there to the entry of the callback; a sample."}};

// The classes of the library from 256 ns to 17 s; shorter times are in the first one.
constexpr std::size_t kFirstClass = 7;
constexpr std::size_t kLastClass = 33;

void AddLaneTimes(const KtlsimHistogram& histogram, const MetricsLabels& labels,
                  MetricsText& text) {
  std::array<MetricsText::TimeClass, kLastClass - kFirstClass + 1> classes{};
  std::uint64_t above = 0;
  for (std::size_t i = 0; i < KTLSIM_HISTOGRAM_BUCKETS; ++i) {
    if (i > kLastClass) {
      above += histogram.cCalls[i];
      continue;
    }
    MetricsText::TimeClass& to = classes[i <= kFirstClass ? 0 : i - kFirstClass];
    to.longest_ns = (std::uint64_t{2} << i) - 1;
    to.calls += histogram.cCalls[i];
  }
  text.AddTimes(classes, above, histogram.ullTotalNs, labels);
}

void AddLanes(const std::vector<ProcessorFigures>& processors, bool every_call, MetricsText& text) {
  const auto each = [&](const auto& add) {
    for (const ProcessorFigures& processor : processors) {
      for (std::size_t lane = 0; lane < KTLSIM_LANES; ++lane) {
        add(processor.statistics.Lanes[lane], MetricsLabels{{"processor", processor.index},
                                                            {"role", processor.role()},
                                                            {"lane", kLaneLabels[lane]}});
      }
    }
  };
  text.Gauge("ktlsim_calls_queued", "Calls accepted and not over, where they were queued.");
  each([&](const KtlsimLaneStatistics& lane, MetricsLabels labels) {
    text.Add(lane.cDepth, labels);
  });
  for (const LaneFigure& counter : kLaneCounters) {
    text.Counter(counter.name, counter.help);
    each([&](const KtlsimLaneStatistics& lane, MetricsLabels labels) {
      text.Add(lane.*counter.figure, labels);
    });
  }
  text.Gauge("ktlsim_call_sample_interval", "The times of one call in so many are taken.");
  text.Add(every_call ? 1 : 64);
  for (const LaneTime& time : kLaneTimes) {
    text.Histogram(time.name, time.help);
    each([&](const KtlsimLaneStatistics& lane, MetricsLabels labels) {
      AddLaneTimes(lane.*time.histogram, labels, text);
    });
  }
}

struct RingFigure {
  ULONGLONG KtlsimRingStatistics::* figure;
  const char* name;
  const char* help;
};
constexpr std::array kRingCounters = {
    RingFigure{&KtlsimRingStatistics::cTurns, "ktlsim_ring_turns", "Rounds of the ring."},
    RingFigure{&KtlsimRingStatistics::cEnters, "ktlsim_ring_enters", "Calls of io_uring_enter."},
    RingFigure{&KtlsimRingStatistics::cSubmitted, "ktlsim_ring_submissions",
               "Entries of the submission queue (SQEs)."},
    RingFigure{&KtlsimRingStatistics::cCompleted, "ktlsim_ring_completions",
               "Entries of the completion queue (CQEs)."},
    RingFigure{&KtlsimRingStatistics::cWakes, "ktlsim_ring_wakes",
               "Writes of other threads that have woken the ring."},
    RingFigure{&KtlsimRingStatistics::cPosted, "ktlsim_ring_posted", "Work items that have run."},
    RingFigure{&KtlsimRingStatistics::cSubmissionFull, "ktlsim_ring_submission_full",
               "Times that the submission queue was full."},
    RingFigure{&KtlsimRingStatistics::cParked, "ktlsim_ring_parked",
               "Operations that have waited for a place in the submission queue."},
    RingFigure{&KtlsimRingStatistics::cBuffersExhausted, "ktlsim_ring_buffers_exhausted",
               "Times that no receive buffer was free."},
    RingFigure{&KtlsimRingStatistics::cCompletionOverflow, "ktlsim_ring_completion_overflow",
               "Times that the completion queue had overflowed."},
    RingFigure{&KtlsimRingStatistics::cCompletionsLost, "ktlsim_ring_completions_lost",
               "Times that the kernel had no memory for a completion."}};
constexpr std::array kRingGauges = {
    RingFigure{&KtlsimRingStatistics::cBuffersLent, "ktlsim_ring_buffers_lent",
               "Receive buffers in use."},
    RingFigure{&KtlsimRingStatistics::cOperations, "ktlsim_ring_operations",
               "Operations in flight."},
    RingFigure{&KtlsimRingStatistics::cSockets, "ktlsim_ring_sockets", "Sockets open."},
    RingFigure{&KtlsimRingStatistics::cTimers, "ktlsim_ring_timers", "Timers armed."}};

void AddProcessors(const std::vector<ProcessorFigures>& processors, MetricsText& text) {
  text.Counter("ktlsim_processor_cpu_seconds", "CPU time of the processors' threads.");
  for (const ProcessorFigures& processor : processors) {
    text.AddSeconds(processor.statistics.ullCpuNs,
                    {{"processor", processor.index}, {"role", processor.role()}});
  }
  const auto add = [&](const RingFigure& figure) {
    for (const ProcessorFigures& processor : processors) {
      text.Add(processor.statistics.Ring.*figure.figure,
               {{"processor", processor.index}, {"role", processor.role()}});
    }
  };
  for (const RingFigure& counter : kRingCounters) {
    text.Counter(counter.name, counter.help);
    add(counter);
  }
  for (const RingFigure& gauge : kRingGauges) {
    text.Gauge(gauge.name, gauge.help);
    add(gauge);
  }
}

}  // namespace

std::string ServeMetricsText(const ServeMetrics& metrics) {
  MetricsText text;
  const TransportStatistics& statistics = metrics.report.statistics;
  AddServer(metrics, text);
  AddHandshakes(statistics, text);
  AddHandshakeTimes(metrics, text);
  AddEnds(statistics, text);
  AddTraffic(statistics, text);
  AddSites(metrics.report, text);
  AddCertificates(metrics.report, text);
  AddServices(metrics.report, text);
  AddAccess(metrics.report, text);
  AddTlsStore(metrics.report.tls_store, text);
  AddLibrary(text);
  const std::vector<ProcessorFigures> processors = ReadProcessors();
  AddLanes(processors, metrics.every_call, text);
  AddProcessors(processors, text);
  return text.Take();
}

}  // namespace ktlsim::command
