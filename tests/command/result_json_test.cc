#include "kernel_sim/command/result_json.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "kernel_sim/command/certificate_facts.h"
#include "kernel_sim/command/credentials.h"

namespace ktlsim::command {
namespace {

TEST(ResultJsonTest, ARunWithoutAnOperationHasNoFigures) {
  const nlohmann::json row = ResultJson(ResultRow(), "server");
  EXPECT_EQ(row["count"], 0);
  for (const char* figure :
       {"negotiated", "rate_per_s", "mb_per_s", "server_cpu_ns", "server_cpu_ns_per_operation",
        "server_cpu_s_per_gb", "statuses", "oldest_unfinished_ns"}) {
    EXPECT_TRUE(row.at(figure).is_null()) << figure;
  }
  EXPECT_EQ(row["latency_ns"]["count"], 0);
  for (const char* percentile : {"p50", "p90", "p99", "p999", "max"}) {
    EXPECT_TRUE(row["latency_ns"].at(percentile).is_null()) << percentile;
  }
}

TEST(ResultJsonTest, WhatWasMeasuredIsThere) {
  ResultRow row;
  row.operations = 4;
  row.bytes = 4'000'000;
  row.seconds = 2;
  row.cpu_ns = 8000;
  row.statuses[2] = 4;
  row.unfinished = 1;
  row.oldest_unfinished_ns = 5;
  row.latency.Record(1000);
  row.negotiated = transport::ConnectionInfo{.version = 0x0303,
                                             .cipher_suite = 0xc02b,
                                             .cipher_suite_name = "SUITE",
                                             .group = 29,
                                             .alpn = ""};
  const nlohmann::json json = ResultJson(row, "client");
  EXPECT_EQ(json["rate_per_s"], 2);
  EXPECT_EQ(json["mb_per_s"], 2);
  EXPECT_EQ(json["client_cpu_ns_per_operation"], 2000);
  EXPECT_EQ(json["statuses"]["2xx"], 4);
  EXPECT_EQ(json["oldest_unfinished_ns"], 5);
  EXPECT_EQ(json["latency_ns"]["count"], 1);
  EXPECT_FALSE(json["latency_ns"]["p50"].is_null());
  EXPECT_EQ(json["negotiated"], nlohmann::json({{"tls_version", "TLS 1.2"},
                                                {"cipher_suite", "SUITE"},
                                                {"group", "X25519"},
                                                {"alpn", nullptr}}));
}

TEST(CertificateFactsTest, KindSizeCurveAndNames) {
  EXPECT_FALSE(DescribeCertificate(nullptr).has_value());
  EXPECT_TRUE(CertificateJson({}).is_null());
  std::string error;
  const auto ecdsa = CreateSelfSigned("a.example", KTLSIM_KEY_ECDSA_P256, &error);
  ASSERT_TRUE(ecdsa.has_value()) << error;
  const auto facts = DescribeCertificate(ecdsa->get());
  ASSERT_TRUE(facts.has_value());
  EXPECT_EQ(facts->kind, "EC");
  EXPECT_EQ(facts->bits, 256);
  EXPECT_EQ(facts->curve, "P-256");
  EXPECT_EQ(facts->names, std::vector<std::string>{"a.example"});
  EXPECT_EQ(facts->sha256.size(), 64U);
  const auto rsa = CreateSelfSigned("b.example", KTLSIM_KEY_RSA_2048, &error);
  ASSERT_TRUE(rsa.has_value()) << error;
  const nlohmann::json json = CertificateJson(DescribeCertificate(rsa->get()));
  EXPECT_EQ(json["kind"], "RSA");
  EXPECT_EQ(json["bits"], 2048);
  EXPECT_TRUE(json["curve"].is_null());
}

}  // namespace
}  // namespace ktlsim::command
