// How long a credential's sessions live (dwSessionLifespan), and credentials that take over the
// sessions of those they replace (KTLSIM_ATTR_SESSIONS).
#include <chrono>
#include <memory>
#include <thread>

#include <gtest/gtest.h>

#include "tests/support/sspi_pair.h"

namespace ktlsim::test {
namespace {

constexpr DWORD kNoSessions = 0xFFFFFFFF;

class Credential {
 public:
  Credential(ULONG use, ULONG disabled, DWORD lifespan_ms, PCCERT_CONTEXT certificate) {
    TLS_PARAMETERS parameters{};
    parameters.grbitDisabledProtocols = disabled;
    SCH_CREDENTIALS cred{};
    cred.dwVersion = SCH_CREDENTIALS_VERSION;
    cred.dwFlags = use == SECPKG_CRED_OUTBOUND ? SCH_CRED_MANUAL_CRED_VALIDATION : 0;
    cred.dwSessionLifespan = lifespan_ms;
    cred.cTlsParameters = 1;
    cred.pTlsParameters = &parameters;
    cred.cCreds = certificate != nullptr ? 1 : 0;
    cred.paCred = &certificate;
    Acquire(use, &cred);
  }
  // The old structure, which ends at TLS 1.2.
  Credential(ULONG use, DWORD lifespan_ms, PCCERT_CONTEXT certificate) {
    SCHANNEL_CRED cred{};
    cred.dwVersion = SCHANNEL_CRED_VERSION;
    cred.dwFlags = use == SECPKG_CRED_OUTBOUND ? SCH_CRED_MANUAL_CRED_VALIDATION : 0;
    cred.dwSessionLifespan = lifespan_ms;
    cred.cCreds = certificate != nullptr ? 1 : 0;
    cred.paCred = &certificate;
    Acquire(use, &cred);
  }
  Credential(const Credential&) = delete;
  Credential& operator=(const Credential&) = delete;
  ~Credential() { EXPECT_EQ(FreeCredentialsHandle(&handle_), SEC_E_OK); }

  PCredHandle get() { return &handle_; }
  SECURITY_STATUS SessionsOf(PCredHandle from) {
    KtlsimCred_Sessions sessions{from};
    return SetCredentialsAttributesA(&handle_, KTLSIM_ATTR_SESSIONS, &sessions, sizeof(sessions));
  }

 private:
  void Acquire(ULONG use, void* cred) {
    char name[] = UNISP_NAME_A;
    EXPECT_EQ(AcquireCredentialsHandleA(nullptr, name, use, nullptr, cred, nullptr, nullptr,
                                        &handle_, nullptr),
              SEC_E_OK)
        << KtlsimLastErrorText();
  }
  CredHandle handle_{};
};

bool Resumes(Credential& client, Credential& server) {
  TestEnd client_end(false);
  TestEnd server_end(true);
  EXPECT_TRUE(RunHandshake(client_end, client.get(), server_end, server.get()));
  // The ticket comes before the first data.
  Append(client_end.inbox, server_end.Seal(ToBytes("x")));
  EXPECT_EQ(ToText(client_end.Open(client.get())), "x");
  return server_end.Resumed() == SSL_SESSION_RECONNECT;
}

class SessionsTest : public testing::TestWithParam<ULONG> {};

INSTANTIATE_TEST_SUITE_P(Versions, SessionsTest,
                         testing::Values(ULONG{SP_PROT_TLS1_3}, ULONG{SP_PROT_TLS1_2}),
                         [](const auto& test) {
                           // The parameter holds the versions that are switched off.
                           return test.param == SP_PROT_TLS1_3 ? "Tls12" : "Tls13";
                         });

TEST_P(SessionsTest, ALifespanOfNoneEndsResumption) {
  for (const bool of_server : {true, false}) {
    Credential server(SECPKG_CRED_INBOUND, GetParam(), of_server ? kNoSessions : 0,
                      LocalhostCertificate());
    Credential client(SECPKG_CRED_OUTBOUND, GetParam(), of_server ? 0 : kNoSessions, nullptr);
    EXPECT_FALSE(Resumes(client, server));
    EXPECT_FALSE(Resumes(client, server));
  }
}

TEST_P(SessionsTest, AMillisecondIsOverAtOnce) {
  for (const bool of_server : {true, false}) {
    Credential server(SECPKG_CRED_INBOUND, GetParam(), of_server ? 1 : 0, LocalhostCertificate());
    Credential client(SECPKG_CRED_OUTBOUND, GetParam(), of_server ? 0 : 1, nullptr);
    EXPECT_FALSE(Resumes(client, server));
    // A full handshake takes longer; the test waits for the clock itself.
    const auto began = std::chrono::system_clock::now();
    while (std::chrono::system_clock::now() - began < std::chrono::milliseconds(2)) {
      std::this_thread::yield();
    }
    EXPECT_FALSE(Resumes(client, server));
  }
}

TEST_P(SessionsTest, LongerOnesAreTakenWithinSevenDays) {
  for (const DWORD lifespan_ms : {0U, 3'600'000U, 0xFFFFFFFEU}) {
    Credential server(SECPKG_CRED_INBOUND, GetParam(), lifespan_ms, LocalhostCertificate());
    Credential client(SECPKG_CRED_OUTBOUND, GetParam(), lifespan_ms, nullptr);
    EXPECT_FALSE(Resumes(client, server));
    EXPECT_TRUE(Resumes(client, server)) << lifespan_ms;
  }
}

TEST(OldCredentialTest, HasALifespanToo) {
  for (const DWORD lifespan_ms : {0U, kNoSessions}) {
    Credential server(SECPKG_CRED_INBOUND, lifespan_ms, LocalhostCertificate());
    Credential client(SECPKG_CRED_OUTBOUND, 0, nullptr);
    EXPECT_FALSE(Resumes(client, server));
    EXPECT_EQ(Resumes(client, server), lifespan_ms == 0);
  }
}

TEST_P(SessionsTest, GoOnInTheCredentialThatReplacesAnother) {
  Credential client(SECPKG_CRED_OUTBOUND, GetParam(), 0, nullptr);
  auto first =
      std::make_unique<Credential>(SECPKG_CRED_INBOUND, GetParam(), 0, LocalhostCertificate());
  EXPECT_FALSE(Resumes(client, *first));
  Credential second(SECPKG_CRED_INBOUND, GetParam(), 0, LocalhostCertificate());
  Credential third(SECPKG_CRED_INBOUND, GetParam(), 0, LocalhostCertificate());
  EXPECT_EQ(second.SessionsOf(first->get()), SEC_E_OK);
  first.reset();
  EXPECT_TRUE(Resumes(client, second));
  EXPECT_FALSE(Resumes(client, third)) << "this credential does not share the sessions";
  EXPECT_EQ(third.SessionsOf(second.get()), SEC_E_OK);
  EXPECT_FALSE(Resumes(client, third)) << "the newest session is its own, from before";
  EXPECT_TRUE(Resumes(client, second));
  Credential other(SECPKG_CRED_INBOUND, GetParam(), 0, LocalhostCertificate(KTLSIM_KEY_RSA_2048));
  EXPECT_EQ(other.SessionsOf(second.get()), SEC_E_OK);
  EXPECT_FALSE(Resumes(client, other)) << "another certificate";
}

TEST_P(SessionsTest, OfNoCredentialAreRefused) {
  Credential client(SECPKG_CRED_OUTBOUND, GetParam(), 0, nullptr);
  Credential server(SECPKG_CRED_INBOUND, GetParam(), 0, LocalhostCertificate());
  CredHandle dead = *server.get();
  {
    Credential gone(SECPKG_CRED_INBOUND, GetParam(), 0, LocalhostCertificate());
    dead = *gone.get();
  }
  CredHandle nothing{};
  SecInvalidateHandle(&nothing);
  EXPECT_EQ(server.SessionsOf(nullptr), SEC_E_INVALID_HANDLE);
  EXPECT_EQ(server.SessionsOf(&nothing), SEC_E_INVALID_HANDLE);
  EXPECT_EQ(server.SessionsOf(&dead), SEC_E_INVALID_HANDLE);
  EXPECT_EQ(server.SessionsOf(client.get()), SEC_E_INVALID_PARAMETER);
  EXPECT_EQ(client.SessionsOf(server.get()), SEC_E_INVALID_PARAMETER);
  EXPECT_EQ(server.SessionsOf(server.get()), SEC_E_OK);
}

}  // namespace
}  // namespace ktlsim::test
