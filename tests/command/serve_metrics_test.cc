// What `ktlsim serve --admin` tells Prometheus of a report, and whom it tells.
#include "kernel_sim/command/serve_metrics.h"

#include <string>

#include <gtest/gtest.h>

#include "kernel_sim/command/admin.h"

namespace ktlsim::command {
namespace {

testing::AssertionResult Has(const std::string& metrics, const std::string& line) {
  if (metrics.find("\n" + line + "\n") != std::string::npos) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "there is no line " << line;
}

TEST(ServeMetricsTest, WhatIsUnderWayIsInNoOutcomeYet) {
  ServeMetrics metrics;
  metrics.report.tls_store.key_refreshes = 6;
  metrics.report.tls_store.key_refreshes_ok = 3;
  metrics.report.tls_store.key_refreshes_failed = 2;
  const std::string text = ServeMetricsText(metrics);
  EXPECT_TRUE(Has(text, "ktlsim_ticket_key_refreshes_total{outcome=\"ok\"} 3"));
  EXPECT_TRUE(Has(text, "ktlsim_ticket_key_refreshes_total{outcome=\"failed\"} 2"));
}

TEST(ServeMetricsTest, AnAuditTrailThatFailsAndCertificatesThatCannotBeReadShow) {
  ServeMetrics metrics;
  EXPECT_EQ(ServeMetricsText(metrics).find("ktlsim_audit"), std::string::npos);
  metrics.report.access.emplace().mappings.unreadable = 4;
  audit::TrailFigures& trail = metrics.report.access->trail.emplace();
  EXPECT_TRUE(Has(ServeMetricsText(metrics), "ktlsim_audit_failing 0"));
  trail.state = audit::TrailState::kFailing;
  const std::string text = ServeMetricsText(metrics);
  EXPECT_TRUE(Has(text, "ktlsim_audit_failing 1"));
  EXPECT_TRUE(Has(text, "ktlsim_account_certificates_unreadable_total 4"));
}

TEST(AdminTest, AddressesAndLocalNamesNameThisMachine) {
  for (const char* host : {"", "localhost", "LocalHost:9100", "localhost.", "127.0.0.1",
                           "10.1.2.3:80", "[::1]:9100", "box.example:1 ", "box.example."}) {
    EXPECT_TRUE(NamesThisMachine(host, "Box.example")) << host;
  }
  for (const char* host : {"page.example", "localhost.page.example:80", "127.0.0.1.page.example",
                           "box.example.page", "box", "1.2.3"}) {
    EXPECT_FALSE(NamesThisMachine(host, "box.example")) << host;
  }
  EXPECT_FALSE(NamesThisMachine("page.example", ""));
}

}  // namespace
}  // namespace ktlsim::command
