// KeyUpdate through SSPI: asked for with a control token, handed out at the soft limit, and what
// happens at the hard one.

#include <ktlsim/sspi_ext.h>

#include <array>
#include <memory>
#include <optional>

#include <gtest/gtest.h>

#include "kernel_sim/sspi/certificates.h"
#include "kernel_sim/sspi/packages/tls_context.h"
#include "kernel_sim/sspi/packages/tls_package.h"
#include "tests/support/package_host.h"
#include "tests/support/sspi_pair.h"

namespace ktlsim::test {
namespace {

SECURITY_STATUS AskForKeyUpdate(TestEnd& end, DWORD request_peer) {
  KtlsimControl_KeyUpdate update = {KTLSIM_CONTROL_KEY_UPDATE, request_peer};
  SecBuffer buffer = {sizeof(update), SECBUFFER_TOKEN, &update};
  SecBufferDesc desc = {SECBUFFER_VERSION, 1, &buffer};
  return ApplyControlToken(&end.context, &desc);
}

class KeyUpdateTokenTest : public testing::Test {
 protected:
  void Connect(ULONG disabled) {
    server_credential_.emplace(TestCredential::Server(disabled));
    client_credential_.emplace(TestCredential::Client(disabled));
    ASSERT_TRUE(
        RunHandshake(client_, client_credential_->get(), server_, server_credential_->get()));
  }
  void Exchange() {
    Append(server_.inbox, client_.Seal(ToBytes("ping")));
    EXPECT_EQ(ToText(server_.Open(server_credential_->get())), "ping");
    Append(client_.inbox, server_.Seal(ToBytes("pong")));
    EXPECT_EQ(ToText(client_.Open(client_credential_->get())), "pong");
  }
  TestEnd client_{false};
  TestEnd server_{true};
  std::optional<TestCredential> server_credential_;
  std::optional<TestCredential> client_credential_;
};

TEST_F(KeyUpdateTokenTest, TheNextLegReturnsTheRecord) {
  Connect(0);
  Exchange();
  ASSERT_EQ(AskForKeyUpdate(server_, 0), SEC_E_OK);
  const Bytes token = server_.Leg(server_credential_->get());
  ASSERT_EQ(server_.status, SEC_E_OK);
  ASSERT_EQ(token.size(), 5 + 5 + 17U);
  Append(client_.inbox, token);
  Bytes reply;
  EXPECT_EQ(client_.Open(client_credential_->get(), &reply), Bytes());
  EXPECT_EQ(reply, Bytes()) << "no KeyUpdate was requested";
  Exchange();
  EXPECT_EQ(server_.Leg(server_credential_->get()), Bytes());
  EXPECT_EQ(server_.status, SEC_E_INCOMPLETE_MESSAGE) << "once";
}

TEST_F(KeyUpdateTokenTest, ThePeerAnswersWhenAsked) {
  Connect(0);
  Exchange();  // takes the ticket, so that the legs below are without input
  for (int round = 0; round < 3; ++round) {
    ASSERT_EQ(AskForKeyUpdate(client_, 1), SEC_E_OK);
    Append(server_.inbox, client_.Leg(client_credential_->get()));
    ASSERT_EQ(client_.status, SEC_E_OK);
    Bytes reply;
    server_.Open(server_credential_->get(), &reply);
    ASSERT_EQ(reply.size(), 5 + 5 + 17U);
    Append(client_.inbox, reply);
    EXPECT_EQ(client_.Open(client_credential_->get()), Bytes());
    Exchange();
  }
}

TEST_F(KeyUpdateTokenTest, IsRefusedWhereThereIsNone) {
  Connect(SP_PROT_TLS1_3);
  EXPECT_EQ(AskForKeyUpdate(client_, 0), SEC_E_UNSUPPORTED_FUNCTION) << "TLS 1.2";
  Exchange();
}

TEST_F(KeyUpdateTokenTest, IsRefusedBeforeTheConnectionStands) {
  client_credential_.emplace(TestCredential::Client());
  client_.Leg(client_credential_->get());
  EXPECT_EQ(AskForKeyUpdate(client_, 0), SEC_E_UNSUPPORTED_FUNCTION);
}

TEST_F(KeyUpdateTokenTest, MalformedTokensAreRefused) {
  Connect(0);
  EXPECT_EQ(AskForKeyUpdate(client_, 2), SEC_E_INVALID_TOKEN);
  DWORD type = KTLSIM_CONTROL_KEY_UPDATE;
  SecBuffer buffer = {sizeof(type), SECBUFFER_TOKEN, &type};
  SecBufferDesc desc = {SECBUFFER_VERSION, 1, &buffer};
  EXPECT_EQ(ApplyControlToken(&client_.context, &desc), SEC_E_INVALID_TOKEN);
  Exchange();
}

TEST_F(KeyUpdateTokenTest, AFloodEndsTheConnection) {
  Connect(0);
  SECURITY_STATUS status = SEC_E_OK;
  int sent = 0;
  for (; sent < 200 && status >= 0; ++sent) {
    ASSERT_EQ(AskForKeyUpdate(client_, 1), SEC_E_OK);
    server_.inbox = client_.Leg(client_credential_->get());
    SecBuffer buffers[4] = {
        {static_cast<ULONG>(server_.inbox.size()), SECBUFFER_DATA, server_.inbox.data()},
        {0, SECBUFFER_EMPTY, nullptr},
        {0, SECBUFFER_EMPTY, nullptr},
        {0, SECBUFFER_EMPTY, nullptr}};
    SecBufferDesc message = {SECBUFFER_VERSION, 4, buffers};
    ASSERT_EQ(DecryptMessage(&server_.context, &message, 0, nullptr), SEC_I_RENEGOTIATE);
    server_.Leg(server_credential_->get());
    status = server_.status;
  }
  EXPECT_LT(status, 0);
  EXPECT_EQ(sent, 33);
}

// ---- The limits, lowered. Only below the public API a credential can be given other ones.

using sspi::Direction;

struct Side {
  std::unique_ptr<sspi::PackageCredential> credential;
  std::unique_ptr<sspi::TlsContext> context;
  Bytes inbox;
  SECURITY_STATUS status = SEC_I_CONTINUE_NEEDED;

  Side(Direction direction, tls::RecordLimits limits) {
    tls::EndpointOptions options;
    options.role = direction == Direction::kInbound ? tls::Role::kServer : tls::Role::kClient;
    options.versions = {tls::Version::kTls13, tls::Version::kTls13};
    options.record_limits = limits;
    options.tickets = 0;
    if (direction == Direction::kInbound) {
      options.certificates = {sspi::CertificateOf(LocalhostCertificate())};
    }
    EXPECT_EQ(sspi::TlsCredential::Create(TestPackageHost::Instance(), direction,
                                          SCH_CRED_MANUAL_CRED_VALIDATION, SP_PROT_TLS1_3,
                                          std::move(options), &credential),
              SEC_E_OK);
    context = sspi::TlsContext::Create(TestPackageHost::Instance(), direction);
  }

  Bytes Leg() {
    Bytes output(4096);
    SecBuffer in[2] = {{static_cast<ULONG>(inbox.size()), SECBUFFER_TOKEN, inbox.data()},
                       {0, SECBUFFER_EMPTY, nullptr}};
    SecBufferDesc in_desc = {SECBUFFER_VERSION, 2, in};
    SecBuffer out = {static_cast<ULONG>(output.size()), SECBUFFER_TOKEN, output.data()};
    SecBufferDesc out_desc = {SECBUFFER_VERSION, 1, &out};
    sspi::LegArguments arguments;
    arguments.credential = credential.get();
    arguments.target_name = "localhost";
    arguments.input = &in_desc;
    arguments.output = &out_desc;
    executive::Request request;
    std::unique_ptr<sspi::PackageCallState> state;
    sspi::PackageCall call{.request = request, .state = state};
    arguments.call = &call;
    status = context->Leg(arguments).status;
    if (status == SEC_E_INCOMPLETE_MESSAGE) return {};
    const ULONG extra = in[1].BufferType == SECBUFFER_EXTRA ? in[1].cbBuffer : 0;
    inbox.erase(inbox.begin(), inbox.end() - static_cast<std::ptrdiff_t>(extra));
    output.resize(out.cbBuffer);
    return output;
  }

  SECURITY_STATUS Seal(Bytes* record) {
    record->assign(5 + 1 + 17, 'x');
    SecBuffer buffers[4] = {{5, SECBUFFER_STREAM_HEADER, record->data()},
                            {1, SECBUFFER_DATA, record->data() + 5},
                            {17, SECBUFFER_STREAM_TRAILER, record->data() + 6},
                            {0, SECBUFFER_EMPTY, nullptr}};
    SecBufferDesc message = {SECBUFFER_VERSION, 4, buffers};
    return context->Encrypt(0, message, 0);
  }

  // Opens the one record in the inbox.
  SECURITY_STATUS Open() {
    SecBuffer buffers[4] = {{static_cast<ULONG>(inbox.size()), SECBUFFER_DATA, inbox.data()},
                            {0, SECBUFFER_EMPTY, nullptr},
                            {0, SECBUFFER_EMPTY, nullptr},
                            {0, SECBUFFER_EMPTY, nullptr}};
    SecBufferDesc message = {SECBUFFER_VERSION, 4, buffers};
    ULONG qop = 0;
    return context->Decrypt(message, 0, &qop);
  }
};

TEST(KeyUpdateLimitTest, TheSoftLimitHandsOutAKeyUpdateAndTheHardOneStops) {
  tls::RecordLimits limits;
  limits.records_before_update = 2;
  limits.records_per_key = 3;
  Side server(Direction::kInbound, limits);
  Side client(Direction::kOutbound, {});
  for (int round = 0; round < 4 && (client.status != SEC_E_OK || server.status != SEC_E_OK);
       ++round) {
    if (client.status != SEC_E_OK) server.inbox = client.Leg();
    if (server.status != SEC_E_OK) client.inbox = server.Leg();
  }
  ASSERT_EQ(client.status, SEC_E_OK);
  ASSERT_EQ(server.status, SEC_E_OK);

  for (int key = 0; key < 3; ++key) {
    for (int i = 0; i < 3; ++i) {
      if (i < 2) {
        EXPECT_EQ(server.Leg(), Bytes());
        EXPECT_EQ(server.status, SEC_E_INCOMPLETE_MESSAGE) << "not yet";
      }
      ASSERT_EQ(server.Seal(&client.inbox), SEC_E_OK) << key << ' ' << i;
      ASSERT_EQ(client.Open(), SEC_E_OK);
    }
    Bytes record;
    EXPECT_EQ(server.Seal(&record), SEC_E_CONTEXT_EXPIRED) << "the hard limit";
    server.inbox.clear();
    client.inbox = server.Leg();
    ASSERT_EQ(server.status, SEC_E_OK);
    ASSERT_FALSE(client.inbox.empty());
    ASSERT_EQ(client.Open(), SEC_I_RENEGOTIATE);
    EXPECT_EQ(client.Leg(), Bytes());
    ASSERT_EQ(client.status, SEC_E_OK);
  }
}

}  // namespace
}  // namespace ktlsim::test
