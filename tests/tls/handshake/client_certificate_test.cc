// A client that has no certificate when the server asks for one: where its handshake stops, and how
// it goes on.
#include <algorithm>

#include <gtest/gtest.h>

#include "tests/tls/support.h"

namespace ktlsim::tls::test {
namespace {

class ClientCertificateTest : public testing::TestWithParam<Version> {
 protected:
  EndpointOptions Options(const Certificate::Ptr& certificate = nullptr) const {
    EndpointOptions options;
    options.versions = Only(GetParam());
    if (certificate != nullptr) options.certificates = {certificate};
    return options;
  }

  // A client that stops for a certificate, with or without one of its own.
  OurSide Client(const Certificate::Ptr& certificate = nullptr) const {
    HandshakeOptions stop;
    stop.stop_for_certificate = true;
    return OurSide(MakeClient(Options(certificate)), stop);
  }
  OurSide AskingServer() const {
    HandshakeOptions ask;
    ask.request_client_certificate = true;
    return OurSide(MakeServer(Options()), ask);
  }

  static void RunUntilItStops(OurSide& client, OurSide& server) {
    for (int round = 0; round < 20; ++round) {
      client.Advance();
      if (client.last.outcome == StepOutcome::kNeedsCertificate) return;
      ASSERT_FALSE(client.established());
      Move(client, server);
      server.Advance();
      Move(server, client);
    }
    FAIL() << "it does not stop";
  }
  static void GoOn(OurSide& client, OurSide& server) {
    client.Advance();
    EXPECT_NE(client.last.outcome, StepOutcome::kNeedsCertificate) << "it stops once";
    ASSERT_TRUE(RunHandshake(client, server)) << client.last.failure.ToString();
  }
};

TEST_P(ClientCertificateTest, ACertificateThatSuitsIsSentAtOnce) {
  OurSide client = Client(RsaCertificate());
  OurSide server = AskingServer();
  ASSERT_TRUE(RunHandshake(client, server)) << client.last.failure.ToString();
  EXPECT_NE(server.connection->facts.peer_chain, nullptr);
}

TEST_P(ClientCertificateTest, WithoutAReplyItGoesOnWithoutOne) {
  OurSide client = Client();
  OurSide server = AskingServer();
  ASSERT_NO_FATAL_FAILURE(RunUntilItStops(client, server));
  ASSERT_NO_FATAL_FAILURE(GoOn(client, server));
  EXPECT_EQ(server.connection->facts.peer_chain, nullptr);
}

TEST_P(ClientCertificateTest, ASuppliedOneIsSent) {
  OurSide client = Client();
  OurSide server = AskingServer();
  ASSERT_NO_FATAL_FAILURE(RunUntilItStops(client, server));
  client.handshake->SupplyCertificates(*MakeClient(Options(RsaCertificate())));
  ASSERT_NO_FATAL_FAILURE(GoOn(client, server));
  ASSERT_NE(server.connection->facts.peer_chain, nullptr);
  EXPECT_TRUE(
      std::ranges::equal(server.connection->facts.peer_chain->der[0], RsaCertificate()->leaf()));
}

TEST_P(ClientCertificateTest, WhatStillDoesNotSuitIsLeftOut) {
  for (const bool supply : {false, true}) {
    OurSide client = Client();
    OurSide server = AskingServer();
    ASSERT_NO_FATAL_FAILURE(RunUntilItStops(client, server));
    if (supply) {
      client.handshake->SupplyCertificates(*MakeClient(Options()));
    } else {
      client.handshake->AcceptAnyIssuer();
    }
    ASSERT_NO_FATAL_FAILURE(GoOn(client, server));
    EXPECT_EQ(server.connection->facts.peer_chain, nullptr) << supply;
  }
}

INSTANTIATE_TEST_SUITE_P(Versions, ClientCertificateTest,
                         testing::Values(Version::kTls12, Version::kTls13));

}  // namespace
}  // namespace ktlsim::tls::test
