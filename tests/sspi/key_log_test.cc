// KTLSIM_ATTR_KEY_LOG: both ends report the same secrets, and nothing is reported without the
// attribute.

#include <ktlsim/sspi_ext.h>
#include <schannel.h>

#include <mutex>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/sspi_pair.h"

namespace ktlsim::test {
namespace {

struct Lines {
  void Add(const char* line) {
    const std::lock_guard lock(mutex);
    all.emplace_back(line);
  }
  std::set<std::string> labels() const {
    std::set<std::string> found;
    for (const std::string& line : all) found.insert(line.substr(0, line.find(' ')));
    return found;
  }

  std::mutex mutex;
  std::vector<std::string> all;
};

SECURITY_STATUS Record(TestCredential& credential, Lines* lines) {
  KtlsimCred_KeyLog log = {nullptr, lines};
  if (lines != nullptr) {
    log.pfnLine = [](void* context, const char* line) { static_cast<Lines*>(context)->Add(line); };
  }
  return SetCredentialsAttributesA(credential.get(), KTLSIM_ATTR_KEY_LOG, &log, sizeof(log));
}

void Talk(TestCredential& client, TestCredential& server) {
  TestEnd client_end(false);
  TestEnd server_end(true);
  ASSERT_TRUE(RunHandshake(client_end, client.get(), server_end, server.get()));
  Append(server_end.inbox, client_end.Seal(ToBytes("x")));
  EXPECT_EQ(ToText(server_end.Open(server.get())), "x");
}

class KeyLogTest : public testing::TestWithParam<bool> {
 protected:
  const bool old_ = GetParam();
  TestCredential client_ = TestCredential::Client(old_ ? SP_PROT_TLS1_3 : 0);
  TestCredential server_ = TestCredential::Server();
};

TEST_P(KeyLogTest, BothEndsTellTheSame) {
  Lines of_client;
  Lines of_server;
  ASSERT_EQ(Record(client_, &of_client), SEC_E_OK);
  ASSERT_EQ(Record(server_, &of_server), SEC_E_OK);
  Talk(client_, server_);
  const std::set<std::string> expected =
      old_ ? std::set<std::string>{"CLIENT_RANDOM"}
           : std::set<std::string>{"CLIENT_HANDSHAKE_TRAFFIC_SECRET",
                                   "SERVER_HANDSHAKE_TRAFFIC_SECRET", "CLIENT_TRAFFIC_SECRET_0",
                                   "SERVER_TRAFFIC_SECRET_0", "EXPORTER_SECRET"};
  EXPECT_EQ(of_client.labels(), expected);
  EXPECT_EQ(of_client.all.size(), expected.size());
  EXPECT_EQ(std::set(of_client.all.begin(), of_client.all.end()),
            std::set(of_server.all.begin(), of_server.all.end()));
}

TEST_P(KeyLogTest, OnlyWhoAsksHears) {
  Lines of_server;
  ASSERT_EQ(Record(server_, &of_server), SEC_E_OK);
  ASSERT_EQ(Record(server_, nullptr), SEC_E_OK) << "switched off";
  Talk(client_, server_);
  EXPECT_TRUE(of_server.all.empty());
}

TEST_P(KeyLogTest, AStructureThatIsCutIsRefused) {
  KtlsimCred_KeyLog log = {};
  EXPECT_EQ(SetCredentialsAttributesA(server_.get(), KTLSIM_ATTR_KEY_LOG, &log, sizeof(log) - 1),
            SEC_E_INVALID_PARAMETER);
}

INSTANTIATE_TEST_SUITE_P(Versions, KeyLogTest, testing::Bool(), [](const auto& test) {
  return test.param ? std::string("Tls12") : std::string("Tls13");
});

}  // namespace
}  // namespace ktlsim::test
