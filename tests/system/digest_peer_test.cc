// Our client of Digest, through SSPI and as `ktlsim load --digest`, against servers that others
// wrote: Apache with MD5, lighttpd with SHA-256, both over TLS.

#include <chrono>
#include <cstdint>
#include <ctime>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "io/address.h"
#include "kernel_sim/command/credentials.h"
#include "kernel_sim/digest/challenge.h"
#include "tests/sspi_digest/digest_scene.h"
#include "tests/system/authority.h"
#include "tests/system/guarded_servers.h"
#include "tests/system/load_process.h"
#include "tests/system/test_client.h"

namespace ktlsim::system_tests {
namespace {

using digest::HashId;

constexpr const char* kUser = "alice";
constexpr const char* kPassword = "wonder land";
constexpr const char* kRealm = "staff";

// As htdigest and its kin write it: without a prefix for the algorithm.
std::string UserLine(HashId id) {
  const std::string account = fmt::format("{}:{}", kUser, kRealm);
  return fmt::format("{}:{}\n", account, test::Hash(id, account + ":" + kPassword));
}

// What came to one request.
struct Answer {
  unsigned status = 0;
  std::string challenge;  // without the scheme's name
  bool stale = false;
  std::string authentication_info;
};

// The value of a field, or "".
std::string FieldOf(const std::string& response, const std::string& name) {
  const std::size_t field = response.find("\r\n" + name);
  if (field == std::string::npos) return {};
  const std::size_t begin = field + 2 + name.size();
  return response.substr(begin, response.find("\r\n", begin) - begin);
}

// The responses of one connection, in their order.
std::vector<Answer> AnswersIn(const std::string& text) {
  constexpr std::string_view kStatusLine = "HTTP/1.1 ";
  std::vector<Answer> answers;
  for (std::size_t at = text.find(kStatusLine); at != std::string::npos;) {
    const std::size_t next = text.find(kStatusLine, at + 1);
    const std::string one = text.substr(at, next == std::string::npos ? next : next - at);
    Answer answer;
    answer.status = static_cast<unsigned>(std::stoul(one.substr(kStatusLine.size(), 3)));
    answer.authentication_info = FieldOf(one, "Authentication-Info: ");
    answer.challenge = FieldOf(one, "WWW-Authenticate: Digest ");
    if (!answer.challenge.empty()) answer.stale = test::ReadChallenge(answer.challenge).stale;
    answers.push_back(answer);
    at = next;
  }
  return answers;
}

class DigestPeerTest : public testing::TestWithParam<const char*> {
 protected:
  static constexpr unsigned kOk = 200;
  static constexpr unsigned kUnauthorized = 401;

  GuardedServerSetup SetupFor(HashId id, const std::string& more = "") {
    return {own_, GetParam(), kRealm, UserLine(id), more};
  }
  // From here on `server` is asked.
  void Use(const GuardedServer& server) {
    ASSERT_TRUE(server.running());
    peer_ = io::Address::Loopback(static_cast<std::uint16_t>(server.port()));
    const bool only_12 = GetParam() == std::string("1.2");
    https_ = std::make_unique<TestClient>(
        authority_.certificate(), only_12 ? command::TlsVersions::k12 : command::TlsVersions::k13);
    ASSERT_EQ(https_->error(), "");
    client_ = std::make_unique<test::DigestClient>(kUser, kPassword);
  }
  // The responses to requests with these headers, an empty one being none, on one new connection.
  std::vector<Answer> Ask(const std::vector<std::string>& headers) {
    std::string requests;
    for (std::size_t i = 0; i < headers.size(); ++i) {
      requests += fmt::format("GET {} HTTP/1.1\r\nHost: localhost\r\n", kTarget.uri);
      if (!headers[i].empty()) requests += fmt::format("Authorization: Digest {}\r\n", headers[i]);
      if (i + 1 == headers.size()) requests += "Connection: close\r\n";
      requests += "\r\n";
    }
    return AnswersIn(https_->Exchange(peer_, requests).text);
  }
  Answer AskOnce(const std::string& header) {
    const std::vector<Answer> answers = Ask({header});
    EXPECT_EQ(answers.size(), 1U);
    return answers.empty() ? Answer() : answers.front();
  }
  std::string Sign() { return client_->Sign(kTarget); }
  // A response to a challenge. A nonce that has had its time meanwhile is followed by another one.
  void Authenticate(Answer challenged) {
    for (int i = 0; i < kAttempts; ++i) {
      ASSERT_EQ(challenged.status, kUnauthorized);
      header_ = client_->Respond(challenged.challenge, kTarget);
      challenged = AskOnce(header_);
      if (!challenged.stale) break;
    }
    EXPECT_EQ(challenged.status, kOk);
  }
  void Authenticate() { Authenticate(AskOnce("")); }

  // Requests of our context over one kept connection and over new ones.
  void ExpectToBeServedOnOneContext() {
    Authenticate();
    EXPECT_EQ(test::ReadResponse(header_).nonce_count, 1U);
    const std::vector<Answer> kept = Ask({Sign(), Sign(), Sign()});
    ASSERT_EQ(kept.size(), 3U);
    for (const Answer& answer : kept) EXPECT_EQ(answer.status, kOk);
    header_ = Sign();
    EXPECT_EQ(AskOnce(header_).status, kOk);
    EXPECT_EQ(test::ReadResponse(header_).nonce_count, 5U);
  }
  // What is altered or signed by nobody is not served, so that being served means something.
  void ExpectToRefuseOthers() {
    const std::string nonce_of = AskOnce("").challenge;
    test::DigestClient wrong(kUser, "other");
    EXPECT_EQ(AskOnce(wrong.Respond(nonce_of, kTarget)).status, kUnauthorized);
    test::DigestClient unknown("mallory", kPassword);
    EXPECT_EQ(AskOnce(unknown.Respond(nonce_of, kTarget)).status, kUnauthorized);
    const std::string other_count = test::With(Sign(), "nc=00000006", "nc=00000007");
    EXPECT_EQ(AskOnce(other_count).status, kUnauthorized);
  }
  // `ktlsim load` with the first authentications and then signed requests.
  LoadResult LoadWith(const GuardedServer& server, std::vector<std::string> more) {
    more.insert(more.begin(), {"--ca", authority_.certificate(), "--digest",
                               fmt::format("{}:{}", kUser, kPassword)});
    return Load(server.address_by_name(), more);
  }
  void ExpectToServeTheLoadGenerator(const GuardedServer& server) {
    const LoadResult result = LoadWith(server, {"--connections", "3"});
    ExpectSound(result);
    ASSERT_EQ(result.json["operations"].size(), 1U) << result.output;
    EXPECT_EQ(result.json["first_authentications"]["count"], 100);
    EXPECT_GT(result.row()["count"], 0) << result.output;
    EXPECT_EQ(result.row()["negotiated"]["tls_version"], std::string("TLS ") + GetParam());
  }

  static constexpr int kAttempts = 20;

  const test::Request kTarget = {.uri = "/index.html"};
  Authority authority_{"Known"};
  const Authority::Files own_ = authority_.Issue("localhost");
  io::Address peer_;
  // The library runs as long as this does.
  std::unique_ptr<TestClient> https_;
  std::unique_ptr<test::DigestClient> client_;
  std::string header_;  // that was sent last
};

// ---- Apache

class ApacheDigestTest : public DigestPeerTest {
 protected:
  void SetUp() override {
    if (!Apache::installed()) GTEST_SKIP() << "Apache with mod_auth_digest is not installed";
  }
};

TEST_P(ApacheDigestTest, ServesOurContextOverAnyConnection) {
  const Apache apache(SetupFor(HashId::kMd5));
  Use(apache);
  ExpectToBeServedOnOneContext();
  ExpectToRefuseOthers();
  // As the server read them.
  for (int count = 1; count <= 5; ++count) {
    EXPECT_TRUE(apache.WaitForLog(fmt::format("qop=auth, nc={:08x},", count))) << count;
  }
}

// Its nonces are good for a second here.
TEST_P(ApacheDigestTest, AStaleNonceIsReplacedInTheSameContext) {
  const Apache apache(SetupFor(HashId::kMd5, "AuthDigestNonceLifetime 1\n"));
  Use(apache);
  Authenticate();
  const CtxtHandle context = *client_->context();
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  Answer answer;
  while (!answer.stale && std::chrono::steady_clock::now() < deadline) answer = AskOnce(Sign());
  ASSERT_TRUE(answer.stale);
  Authenticate(answer);
  EXPECT_TRUE(test::SameHandle(*client_->context(), context));
  EXPECT_EQ(test::ReadResponse(header_).nonce_count, 1U);
  // Whether or not this nonce has had its time, too: the context goes on.
  answer = AskOnce(Sign());
  EXPECT_TRUE(answer.status == kOk || answer.stale) << answer.status;
}

// Authentication-Info, for the first response and for a signed request.
TEST_P(ApacheDigestTest, ProvesThatItKnowsThePassword) {
  const Apache apache(SetupFor(HashId::kMd5));
  Use(apache);
  const std::string challenge = AskOnce("").challenge;
  for (const std::string& header : {client_->Respond(challenge, kTarget), Sign()}) {
    const Answer answer = AskOnce(header);
    ASSERT_EQ(answer.status, kOk);
    std::string info = answer.authentication_info;
    ASSERT_NE(info, "");
    EXPECT_EQ(client_->CheckServer(info, header, kTarget), SEC_E_OK) << info;
    const std::size_t digit = info.find("rspauth=\"") + 9;
    ASSERT_LT(digit, info.size());
    info[digit] = info[digit] == '0' ? '1' : '0';
    EXPECT_EQ(client_->CheckServer(info, header, kTarget), SEC_E_MESSAGE_ALTERED);
  }
}

TEST_P(ApacheDigestTest, ServesTheLoadGenerator) {
  const Apache apache(SetupFor(HashId::kMd5));
  ASSERT_TRUE(apache.running());
  ExpectToServeTheLoadGenerator(apache);
}

// Apache names the next nonce in Authentication-Info, and refuses the one before a second later.
TEST_P(ApacheDigestTest, TheLoadGeneratorGoesOnWithTheNextNonce) {
  const Apache apache(SetupFor(HashId::kMd5, "AuthDigestNonceLifetime 1\n"));
  ASSERT_TRUE(apache.running());
  const LoadResult result = LoadWith(apache, {"--connections", "3", "--seconds", "3"});
  ExpectSound(result);
  // Verifying a response takes the nonce over; at most the first ones after a pause are refused.
  EXPECT_GE(result.json["settings"]["digest_proofs"], 1) << result.output;
  EXPECT_GE(result.row()["count"], 1) << result.output;
}

TEST_P(ApacheDigestTest, TheLoadGeneratorIsRefusedWithAWrongPassword) {
  const Apache apache(SetupFor(HashId::kMd5));
  ASSERT_TRUE(apache.running());
  const LoadResult result =
      Load(apache.address_by_name(),
           {"--ca", authority_.certificate(), "--digest", fmt::format("{}:other", kUser)});
  EXPECT_EQ(result.code, 2);
  EXPECT_NE(result.output.find("refuses alice"), std::string::npos) << result.output;
}

// ---- lighttpd

class LighttpdDigestTest : public DigestPeerTest {
 protected:
  void SetUp() override {
    if (!Lighttpd::installed()) {
      GTEST_SKIP() << "lighttpd with mod_auth and mod_openssl is not installed";
    }
  }
};

TEST_P(LighttpdDigestTest, ServesOurContextOverAnyConnection) {
  const Lighttpd lighttpd(SetupFor(HashId::kSha256), "SHA-256");
  Use(lighttpd);
  ExpectToBeServedOnOneContext();
  EXPECT_EQ(test::ReadResponse(header_).algorithm, digest::Algorithm::kSha256);
  ExpectToRefuseOthers();
}

// Its nonces begin with the time at which they were made, so that a test can make an old one.
TEST_P(LighttpdDigestTest, AStaleNonceIsReplacedInTheSameContext) {
  constexpr std::time_t kOlderThanItsNoncesLive = 700;
  const Lighttpd lighttpd(SetupFor(HashId::kSha256), "SHA-256");
  Use(lighttpd);
  const Answer fresh = AskOnce("");
  const std::string nonce(test::ReadChallenge(fresh.challenge).nonce);
  const std::size_t colon = nonce.find(':');
  ASSERT_NE(colon, std::string::npos) << nonce;
  const std::string old_nonce =
      fmt::format("{:x}", std::time(nullptr) - kOlderThanItsNoncesLive) + nonce.substr(colon);
  const Answer answer =
      AskOnce(client_->Respond(test::With(fresh.challenge, nonce, old_nonce), kTarget));
  const CtxtHandle context = *client_->context();
  ASSERT_TRUE(answer.stale) << answer.status;
  Authenticate(answer);
  EXPECT_TRUE(test::SameHandle(*client_->context(), context));
  EXPECT_EQ(test::ReadResponse(header_).nonce_count, 1U);
  EXPECT_EQ(AskOnce(Sign()).status, kOk);
}

TEST_P(LighttpdDigestTest, ServesTheLoadGenerator) {
  const Lighttpd lighttpd(SetupFor(HashId::kSha256), "SHA-256");
  ASSERT_TRUE(lighttpd.running());
  ExpectToServeTheLoadGenerator(lighttpd);
}

// Two challenges, of which our client takes the first.
TEST_P(LighttpdDigestTest, ServesTheLoadGeneratorWithAChoiceOfAlgorithms) {
  GuardedServerSetup setup = SetupFor(HashId::kSha256);
  setup.users += UserLine(HashId::kMd5);
  const Lighttpd lighttpd(setup, "SHA-256|MD5");
  ASSERT_TRUE(lighttpd.running());
  ExpectToServeTheLoadGenerator(lighttpd);
}

INSTANTIATE_TEST_SUITE_P(Versions, ApacheDigestTest, testing::Values("1.2", "1.3"));
INSTANTIATE_TEST_SUITE_P(Versions, LighttpdDigestTest, testing::Values("1.2", "1.3"));

}  // namespace
}  // namespace ktlsim::system_tests
