// `openssl s_client` against `ktlsim serve`: versions, suites, verification, resumption.

#include <filesystem>
#include <ostream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/system/serve_process.h"

namespace ktlsim::system_tests {
namespace {

const std::string kRequest = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

// The client ends when the server has closed; s_client then has seen close_notify.
Finished Client(const ServeProcess& server, const std::vector<std::string>& arguments) {
  ChildProcess::Arguments all = {"openssl",     "s_client",  "-connect", server.address(),
                                 "-servername", "localhost", "-ign_eof"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  return RunProgram(all, kRequest);
}

std::size_t Count(const std::string& text, const std::string& what) {
  std::size_t count = 0;
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) {
    ++count;
  }
  return count;
}

struct Suite {
  const char* version;   // s_client's option
  const char* protocol;  // as s_client prints it
  const char* option;
  const char* name;
  const char* key_type;
};

std::ostream& operator<<(std::ostream& out, const Suite& suite) {
  return out << suite.name << " " << suite.key_type;
}

class OpensslClientSuiteTest : public testing::TestWithParam<Suite> {};

TEST_P(OpensslClientSuiteTest, NegotiatesVerifiesAndExchanges) {
  const Suite& suite = GetParam();
  ServeProcess server(
      {"--self-signed", "localhost", "--key-type", suite.key_type, "--respond-bytes", "300"});
  ASSERT_TRUE(server.running()) << server.output();
  const std::string certificate = server.ExportCertificate();
  const Finished client =
      Client(server, {suite.version, suite.option, suite.name, "-CAfile", certificate,
                      "-verify_return_error", "-verify_hostname", "localhost"});
  EXPECT_EQ(client.code, 0);
  const std::string line =
      std::string("New, ") + suite.protocol + ", Cipher is " + suite.name + "\n";
  EXPECT_NE(client.output.find(line), std::string::npos) << client.output;
  EXPECT_NE(client.output.find("Verification: OK"), std::string::npos) << client.output;
  EXPECT_NE(client.output.find("HTTP/1.1 200 OK"), std::string::npos) << client.output;
  EXPECT_NE(client.output.find(Pattern(300)), std::string::npos) << client.output;
  const nlohmann::json statistics = server.StopCleanly();
  EXPECT_EQ(statistics["established"], 2);
  EXPECT_EQ(statistics["ends"]["handshake_failed"], 0);
}

INSTANTIATE_TEST_SUITE_P(
    EverySuite, OpensslClientSuiteTest,
    testing::Values(
        Suite{"-tls1_3", "TLSv1.3", "-ciphersuites", "TLS_AES_128_GCM_SHA256", "ecdsa"},
        Suite{"-tls1_3", "TLSv1.3", "-ciphersuites", "TLS_AES_256_GCM_SHA384", "ecdsa"},
        Suite{"-tls1_3", "TLSv1.3", "-ciphersuites", "TLS_AES_128_GCM_SHA256", "rsa"},
        Suite{"-tls1_2", "TLSv1.2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256", "ecdsa"},
        Suite{"-tls1_2", "TLSv1.2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384", "ecdsa"},
        Suite{"-tls1_2", "TLSv1.2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256", "rsa"},
        Suite{"-tls1_2", "TLSv1.2", "-cipher", "ECDHE-RSA-AES256-GCM-SHA384", "rsa"}));

TEST(OpensslClientTest, VersionThatIsNotOfferedIsRefused) {
  ServeProcess server({"--self-signed", "localhost", "--respond-bytes", "1", "--tls", "1.3"});
  ASSERT_TRUE(server.running()) << server.output();
  const Finished client = Client(server, {"-tls1_2"});
  EXPECT_NE(client.code, 0);
  EXPECT_NE(client.output.find("alert protocol version"), std::string::npos) << client.output;
  EXPECT_TRUE(server.Answers());
  EXPECT_EQ(server.StopCleanly()["ends"]["handshake_failed"], 1);
}

TEST(OpensslClientTest, ChoosesAlpnInTheServersOrder) {
  ServeProcess server(
      {"--self-signed", "localhost", "--respond-bytes", "1", "--alpn", "http/1.1,http/1.0"});
  ASSERT_TRUE(server.running()) << server.output();
  EXPECT_NE(Client(server, {"-alpn", "http/1.0,http/1.1"}).output.find("ALPN protocol: http/1.1"),
            std::string::npos);
  EXPECT_NE(Client(server, {"-alpn", "h3"}).output.find("alert no application protocol"),
            std::string::npos);
  EXPECT_EQ(server.StopCleanly()["failures"]["application_protocol"], 1);
}

TEST(OpensslClientTest, OfferedSuitesCanBeLimited) {
  ServeProcess server({"--self-signed", "localhost", "--respond-bytes", "1", "--cipher-suites",
                       "TLS_AES_256_GCM_SHA384:ECDHE-ECDSA-AES256-GCM-SHA384"});
  ASSERT_TRUE(server.running()) << server.output();
  EXPECT_NE(Client(server, {}).output.find("Cipher is TLS_AES_256_GCM_SHA384"), std::string::npos);
  EXPECT_NE(Client(server, {"-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"}).code, 0);
  server.StopCleanly();
}

struct Tickets {
  const char* version;
  const char* tickets;
  bool resumes;
};

std::ostream& operator<<(std::ostream& out, const Tickets& tickets) {
  return out << tickets.version << " with " << tickets.tickets << " tickets";
}

class OpensslClientResumptionTest : public testing::TestWithParam<Tickets> {};

TEST_P(OpensslClientResumptionTest, ResumesWhenThereIsSomethingToResume) {
  const Tickets& tickets = GetParam();
  ServeProcess server(
      {"--self-signed", "localhost", "--respond-bytes", "10", "--tickets", tickets.tickets});
  ASSERT_TRUE(server.running()) << server.output();
  const TemporaryFolder folder;
  const std::string session = folder.File("session.pem");
  const Finished first = Client(server, {tickets.version, "-sess_out", session});
  EXPECT_NE(first.output.find("New, "), std::string::npos) << first.output;
  EXPECT_EQ(first.output.find("Reused, "), std::string::npos);
  const bool has_session =
      std::filesystem::exists(session) && std::filesystem::file_size(session) > 0;
  EXPECT_TRUE(has_session || !tickets.resumes);
  if (has_session) {
    const Finished second = Client(server, {tickets.version, "-sess_in", session});
    EXPECT_EQ(second.output.find("Reused, ") != std::string::npos, tickets.resumes)
        << second.output;
    EXPECT_NE(second.output.find(Pattern(10)), std::string::npos);
  }
  EXPECT_EQ(server.StopCleanly()["handshakes_resumed"], tickets.resumes ? 1 : 0);
}

// TLS 1.2 without tickets resumes by session ID.
INSTANTIATE_TEST_SUITE_P(VersionsAndTickets, OpensslClientResumptionTest,
                         testing::Values(Tickets{"-tls1_3", "0", false},
                                         Tickets{"-tls1_3", "1", true},
                                         Tickets{"-tls1_3", "2", true},
                                         Tickets{"-tls1_2", "0", true},
                                         Tickets{"-tls1_2", "1", true}));

TEST(OpensslClientTest, ReconnectsFiveTimesWithTheSameTls12Session) {
  // One processor: the response to the last connection's request says that it has seen every
  // handshake end.
  ServeProcess server({"--self-signed", "localhost", "--respond-bytes", "1", "--processors", "1"});
  ASSERT_TRUE(server.running()) << server.output();
  const Finished client = Client(server, {"-tls1_2", "-reconnect"});
  EXPECT_EQ(Count(client.output, "Reused, TLSv1.2"), 5U) << client.output;
  EXPECT_EQ(server.StopCleanly()["handshakes_resumed"], 5);
}

// s_client dials again before it has read the first tickets, so in TLS 1.3 it has none to offer.
TEST(OpensslClientTest, ReconnectsInTls13) {
  // One processor: the response to the last connection's request says that it has seen every
  // handshake end.
  ServeProcess server({"--self-signed", "localhost", "--respond-bytes", "1", "--processors", "1"});
  ASSERT_TRUE(server.running()) << server.output();
  const Finished client = Client(server, {"-tls1_3", "-reconnect"});
  EXPECT_EQ(Count(client.output, "New, TLSv1.3"), 6U) << client.output;
  const nlohmann::json statistics = server.StopCleanly();
  EXPECT_EQ(statistics["established"], 6);
  EXPECT_EQ(statistics["handshakes_full"], 6);
}

// `K` requests the server's update, too; `k` changes the client's key alone. Data flows after each.
TEST(OpensslClientTest, KeyUpdatesOfBothKindsBetweenData) {
  ServeProcess server({"--self-signed", "localhost", "--echo"});
  ASSERT_TRUE(server.running()) << server.output();
  ChildProcess client({"openssl", "s_client", "-connect", server.address(), "-tls1_3", "-msg"},
                      ChildProcess::Interactive{});
  // s_client takes a letter for a command only at the beginning of a read, so each letter is typed
  // after the one before it has had its effect.
  const auto echoes = [&](const std::string& line) {
    return client.Type(line + "\n") && client.WaitForNext("\n" + line + "\n");
  };
  const std::string update = " TLS 1.3, Handshake [length 0005], KeyUpdate";
  ASSERT_TRUE(client.WaitForNext("NewSessionTicket")) << client.output();
  ASSERT_TRUE(echoes("before")) << client.output();
  for (int round = 0; round < 5; ++round) {
    ASSERT_TRUE(client.Type("K\n") && client.WaitForNext("<<<" + update)) << client.output();
    ASSERT_TRUE(echoes("both-" + std::to_string(round))) << client.output();
    ASSERT_TRUE(client.Type("k\n") && client.WaitForNext(">>>" + update)) << client.output();
    ASSERT_TRUE(echoes("mine-" + std::to_string(round))) << client.output();
  }
  ASSERT_TRUE(client.Type("Q\n"));
  EXPECT_EQ(client.Wait(), 0) << client.output();
  EXPECT_EQ(Count(client.output(), ">>>" + update), 10U);
  EXPECT_EQ(Count(client.output(), "<<<" + update), 5U);
  const nlohmann::json statistics = server.StopCleanly();
  EXPECT_EQ(statistics["plaintext_received_bytes"], 7 + 10 * 7);
  EXPECT_EQ(statistics["plaintext_sent_bytes"], 7 + 10 * 7);
  EXPECT_EQ(statistics["ends"]["completed"], 1);
  EXPECT_EQ(statistics["ends"]["record_failed"], 0);
}

// Each costs the server a key derivation and brings no data: it ends the connection, and the log
// says why.
TEST(OpensslClientTest, KeyUpdatesWithoutDataEndInWords) {
  ServeProcess server({"--self-signed", "localhost", "--echo"});
  ASSERT_TRUE(server.running()) << server.output();
  ChildProcess client({"openssl", "s_client", "-connect", server.address(), "-tls1_3", "-msg"},
                      ChildProcess::Interactive{});
  ASSERT_TRUE(client.WaitForNext("NewSessionTicket")) << client.output();
  for (int sent = 0; sent < 33; ++sent) {
    ASSERT_TRUE(client.Type("k\n") && client.WaitForNext("KeyUpdate")) << client.output();
  }
  EXPECT_TRUE(client.WaitForNext("fatal unexpected_message")) << client.output();
  client.Wait();
  EXPECT_TRUE(server.WaitForOutput("the peer does nothing but update its keys")) << server.output();
  const nlohmann::json statistics = server.StopCleanly();
  EXPECT_EQ(statistics["ends"]["record_failed"], 1);
  EXPECT_EQ(statistics["failures"]["protocol_violation"], 1);
}

// max_fragment_length (RFC 6066 4): the client ends the connection at the first record beyond it.
struct Fragments {
  const char* version;
  const char* bytes;
};

std::ostream& operator<<(std::ostream& out, const Fragments& fragments) {
  return out << fragments.version << " with " << fragments.bytes << " bytes";
}

class OpensslClientFragmentsTest : public testing::TestWithParam<Fragments> {};

TEST_P(OpensslClientFragmentsTest, NoRecordIsLongerThanAgreed) {
  const Fragments& fragments = GetParam();
  constexpr int kBytes = 100000;
  ServeProcess server({"--self-signed", "localhost", "--respond-bytes", std::to_string(kBytes)});
  ASSERT_TRUE(server.running()) << server.output();
  const TemporaryFolder folder;
  const std::string session = folder.File("session.pem");
  for (const char* const place : {"-sess_out", "-sess_in"}) {
    const bool resumes = place == std::string("-sess_in");
    const Finished client =
        Client(server, {fragments.version, "-maxfraglen", fragments.bytes, place, session});
    EXPECT_EQ(client.code, 0) << place;
    EXPECT_NE(client.output.find(resumes ? "Reused, " : "New, "), std::string::npos);
    EXPECT_NE(client.output.find(Pattern(kBytes)), std::string::npos)
        << place << ": " << client.output.size() << " bytes";
  }
  const nlohmann::json statistics = server.StopCleanly();
  EXPECT_EQ(statistics["ends"]["completed"], 2) << statistics.dump(2);
  EXPECT_EQ(statistics["handshakes_resumed"], 1);
}

INSTANTIATE_TEST_SUITE_P(VersionsAndLengths, OpensslClientFragmentsTest,
                         testing::Values(Fragments{"-tls1_2", "512"}, Fragments{"-tls1_2", "1024"},
                                         Fragments{"-tls1_2", "2048"}, Fragments{"-tls1_2", "4096"},
                                         Fragments{"-tls1_3", "512"}, Fragments{"-tls1_3", "1024"},
                                         Fragments{"-tls1_3", "2048"},
                                         Fragments{"-tls1_3", "4096"}));

// The client's handshake and data in the shortest records that OpenSSL makes, without a negotiated
// limit.
TEST(OpensslClientTest, MaySendShortRecords) {
  for (const char* const version : {"-tls1_2", "-tls1_3"}) {
    for (const char* const option : {"-max_send_frag", "-split_send_frag"}) {
      ServeProcess server({"--self-signed", "localhost", "--echo"});
      ASSERT_TRUE(server.running()) << server.output();
      ChildProcess client({"openssl", "s_client", "-connect", server.address(), "-quiet",
                           "-ign_eof", version, option, "512"},
                          Pattern(20000));
      EXPECT_TRUE(client.WaitForOutput(Pattern(20000))) << version << " " << option;
      EXPECT_EQ(server.StopCleanly()["plaintext_sent_bytes"], 20000);
    }
  }
}

// The refusal is a warning, as in RFC 5246 7.2.2; it is this client that gives up.
TEST(OpensslClientTest, IsRefusedARenegotiation) {
  ServeProcess server({"--self-signed", "localhost", "--echo"});
  ASSERT_TRUE(server.running()) << server.output();
  ChildProcess client({"openssl", "s_client", "-connect", server.address(), "-tls1_2", "-msg"},
                      ChildProcess::Interactive{});
  ASSERT_TRUE(client.WaitForOutput("Verify return code")) << client.output();
  ASSERT_TRUE(client.Type("before\n") && client.WaitForNext("\nbefore\n")) << client.output();
  ASSERT_TRUE(client.Type("R\n"));
  EXPECT_TRUE(client.WaitForNext("<<< TLS 1.2, Alert [length 0002], warning no_renegotiation"))
      << client.output();
  EXPECT_TRUE(client.WaitForNext("no renegotiation")) << client.output();
  client.Wait();
  EXPECT_TRUE(server.WaitForOutput("alert-received=handshake_failure")) << server.output();
  EXPECT_EQ(server.StopCleanly()["plaintext_sent_bytes"], 7);
}

TEST(OpensslClientTest, EchoSendsEveryByteBack) {
  ServeProcess server({"--self-signed", "localhost", "--echo"});
  ASSERT_TRUE(server.running()) << server.output();
  ChildProcess client({"openssl", "s_client", "-connect", server.address(), "-quiet", "-ign_eof"},
                      Pattern(1000));
  EXPECT_TRUE(client.WaitForOutput(Pattern(1000))) << client.output();
  const nlohmann::json statistics = server.StopCleanly();
  EXPECT_EQ(statistics["plaintext_received_bytes"], 1000);
  EXPECT_EQ(statistics["plaintext_sent_bytes"], 1000);
}

}  // namespace
}  // namespace ktlsim::system_tests
