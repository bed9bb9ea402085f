// The calls of Digest with an allocation failing, on either side: each call ends with a status that
// says so, nothing is lost, nobody is let in who must not be, and no request is served twice.
#include <ktlsim/sspi_ext.h>
#include <sspi.h>

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "kernel_sim/context_store/memory_store.h"
#include "kernel_sim/sspi/packages/digest_package.h"
#include "tests/faults/ends.h"
#include "tests/faults/fault_run.h"
#include "tests/sspi_digest/digest_scene.h"
#include "tests/sspi_digest/sasl_scene.h"

namespace ktlsim::test {
namespace {

constexpr ULONG kSha = KTLSIM_DIGEST_SHA256;

// A context of a scene: deleted without faults.
class OwnedContext {
 public:
  OwnedContext() { SecInvalidateHandle(&handle); }
  OwnedContext(const OwnedContext&) = delete;
  OwnedContext& operator=(const OwnedContext&) = delete;
  ~OwnedContext() {
    if (SecIsValidHandle(&handle)) DeleteSecurityContext(&handle);
  }
  CtxtHandle handle;
};

// Room for tokens, made before the call.
struct Room {
  void Reset() {
    for (std::size_t i = 0; i < buffers.size(); ++i) {
      buffers[i] = {static_cast<ULONG>(bytes[i].size()), SECBUFFER_TOKEN, bytes[i].data()};
    }
  }
  PSecBufferDesc get() {
    Reset();
    return &description;
  }
  std::string text() const { return {bytes[0].data(), buffers[0].cbBuffer}; }

  std::array<std::array<char, 4096>, 2> bytes;
  std::array<SecBuffer, 2> buffers{};
  SecBufferDesc description = {SECBUFFER_VERSION, 2, buffers.data()};
};

// A call of AcceptSecurityContext whose buffers are there. Synchronous or not.
class AcceptCall {
 public:
  AcceptCall(DigestServer& server, const std::string& token, bool async = false)
      : server_(server), input_(token, {}) {
    if (async) async_.emplace();
  }
  // With faults, if it is called inside FaultRun.
  SECURITY_STATUS operator()(OwnedContext& context, PCtxtHandle given = nullptr) {
    if (!async_.has_value()) {
      return AcceptSecurityContext(server_.credential(), given, input_.get(), ASC_REQ_HTTP, 0,
                                   &context.handle, room.get(), &attributes_, nullptr);
    }
    return async_->Run([&](SspiAsyncContext* handle) {
      return SspiAcceptSecurityContextAsync(handle, server_.credential(), given, input_.get(),
                                            ASC_REQ_HTTP, 0, &context.handle, room.get(),
                                            &attributes_, nullptr);
    });
  }

  Room room;

 private:
  DigestServer& server_;
  ServerInput input_;
  std::optional<CountedAsync> async_;
  ULONG attributes_ = 0;
};

class DigestFaultsTest : public testing::TestWithParam<bool> {
 protected:
  DigestFaultsTest() : runtime_(OneProcessor()), server_(Users(), Settings()) {}

  static std::string Users() {
    return UserLine("Mufasa", "Circle of Life") +
           UserLine("Mufasa", "Circle of Life", digest::HashId::kSha256);
  }
  static KtlsimCred_DigestServer Settings() {
    KtlsimCred_DigestServer settings = KTLSIM_DIGEST_SERVER_INIT;
    settings.fFlags = kSha;
    return settings;
  }
  bool async() const { return GetParam(); }
  std::string Name(const char* scene) const {
    return std::string(scene) + (async() ? ", asynchronous" : "");
  }

  // As FaultRun::Judge. A store that has no memory is one that fails: then the client is asked for
  // another response.
  static bool Judge(FaultRun& run, SECURITY_STATUS expected, const char* what,
                    SECURITY_STATUS status) {
    if (run.fired() && status == SEC_I_CONTINUE_NEEDED && expected != status) return false;
    return run.Judge(expected, what, status);
  }

  // Once more from the beginning, without faults: served, and a request of it, too.
  void ExpectNextClientServed() {
    DigestClient client;
    Established context(server_, client);
    EXPECT_EQ(server_.Serve(client.Sign()), SEC_E_OK);
  }

  const RuntimeWith runtime_;
  DigestServer server_;
};

TEST_P(DigestFaultsTest, Challenge) {
  PlayWithFaults(Name("challenge"), [&](FaultRun& run) {
    AcceptCall accept(server_, "", async());
    OwnedContext context;
    run.ReturnsOrCanBeRetried(SEC_I_CONTINUE_NEEDED, "challenge", [&] { return accept(context); });
    EXPECT_FALSE(ReadChallenge(accept.room.text()).nonce.empty());
  });
}

TEST_P(DigestFaultsTest, FirstResponse) {
  PlayWithFaults(Name("first response"), [&](FaultRun& run) {
    OwnedContext context;
    DigestClient client;
    AcceptCall challenge(server_, "");
    ASSERT_EQ(challenge(context), SEC_I_CONTINUE_NEEDED);
    const std::string header = client.Respond(challenge.room.text());
    AcceptCall accept(server_, header, async());
    const SECURITY_STATUS status = run.Status([&] { return accept(context, &context.handle); });
    if (!Judge(run, SEC_E_OK, "first response", status)) {
      // Its count may have been used up, and then another response is asked for.
      const SECURITY_STATUS again = accept(context, &context.handle);
      EXPECT_TRUE(again == SEC_E_OK || again == SEC_I_CONTINUE_NEEDED) << again;
    }
    OwnedContext replayed;
    AcceptCall replay(server_, header);
    EXPECT_NE(replay(replayed), SEC_E_OK);
    if (SameHandle(replayed.handle, context.handle)) SecInvalidateHandle(&replayed.handle);
  });
  ExpectNextClientServed();
}

TEST_P(DigestFaultsTest, WrongResponseIsNeverLetIn) {
  PlayWithFaults(Name("wrong response"), [&](FaultRun& run) {
    OwnedContext context;
    DigestClient client("Mufasa", "wrong");
    AcceptCall challenge(server_, "");
    ASSERT_EQ(challenge(context), SEC_I_CONTINUE_NEEDED);
    AcceptCall accept(server_, client.Respond(challenge.room.text()), async());
    run.Returns(SEC_E_LOGON_DENIED, "wrong response",
                [&] { return accept(context, &context.handle); });
  });
}

TEST_P(DigestFaultsTest, Request) {
  PlayWithFaults(Name("request"), [&](FaultRun& run) {
    DigestClient client;
    Established context(server_, client);
    const std::string header = client.Sign();
    AcceptCall accept(server_, header, async());
    OwnedContext made;
    const SECURITY_STATUS accepted = run.Status([&] { return accept(made); });
    if (!Judge(run, SEC_I_COMPLETE_NEEDED, "accept", accepted)) {
      if (SameHandle(made.handle, context.context)) SecInvalidateHandle(&made.handle);
      EXPECT_EQ(server_.Serve(header), SEC_E_OK);
      return;
    }
    CtxtHandle found = made.handle;
    SecInvalidateHandle(&made.handle);
    EXPECT_TRUE(SameHandle(found, context.context));
    ServerInput input(header, {});
    std::optional<CountedAsync> call;
    if (async()) call.emplace();
    const SECURITY_STATUS completed = run.Status([&] {
      if (!call.has_value()) return CompleteAuthToken(&found, input.get());
      return call->Run([&](SspiAsyncContext* handle) {
        return SspiCompleteAuthTokenAsync(handle, &found, input.get());
      });
    });
    const bool served = run.Judge(SEC_E_OK, "complete", completed);
    const SECURITY_STATUS again = server_.Serve(header);
    EXPECT_TRUE(again == SEC_E_OUT_OF_SEQUENCE || (!served && again == SEC_E_OK)) << again;
    EXPECT_EQ(server_.Serve(header), SEC_E_OUT_OF_SEQUENCE);
    EXPECT_EQ(server_.Serve(client.Sign()), SEC_E_OK);
  });
}

TEST_P(DigestFaultsTest, VerifySignature) {
  PlayWithFaults(Name("verify"), [&](FaultRun& run) {
    DigestClient client;
    Established context(server_, client);
    const std::string header = client.Sign();
    ServerInput input(header, {});
    ULONG qop = 0;
    std::optional<CountedAsync> call;
    if (async()) call.emplace();
    const SECURITY_STATUS status = run.Status([&] {
      if (!call.has_value()) return VerifySignature(&context.context, input.get(), 0, &qop);
      return call->Run([&](SspiAsyncContext* handle) {
        return SspiVerifySignatureAsync(handle, &context.context, input.get(), 0, &qop);
      });
    });
    const bool good = run.Judge(SEC_E_OK, "verify", status);
    const SECURITY_STATUS again = DigestServer::Verify(context.context, header);
    EXPECT_TRUE(again == SEC_E_OUT_OF_SEQUENCE || (!good && again == SEC_E_OK)) << again;
    EXPECT_EQ(DigestServer::Verify(context.context, client.Sign()), SEC_E_OK);
  });
}

// A nonce that has had its time: a new one, and the response to it.
TEST_P(DigestFaultsTest, Renewal) {
  PlayWithFaults(Name("renewal"), [&](FaultRun& run) {
    DigestClient client;
    Established context(server_, client);
    HandMade exhausted;
    const digest::Response first = ReadResponse(context.first);
    exhausted.nonce = first.nonce;
    exhausted.opaque = first.opaque;
    exhausted.algorithm = first.algorithm;
    exhausted.count = 0xffffff00;
    AcceptCall accept(server_, exhausted.Header(), async());
    OwnedContext found;
    run.ReturnsOrCanBeRetried(SEC_I_CONTINUE_NEEDED, "renew", [&] { return accept(found); });
    SecInvalidateHandle(&found.handle);  // the same context
    std::string header;
    ASSERT_EQ(client.Respond(accept.room.text(), &header), SEC_E_OK);
    AcceptCall answer(server_, header, async());
    const SECURITY_STATUS status = run.Status([&] { return answer(found); });
    SecInvalidateHandle(&found.handle);
    const bool accepted = Judge(run, SEC_E_OK, "answer", status);
    EXPECT_TRUE(!accepted || server_.Serve(header) == SEC_E_OUT_OF_SEQUENCE);
  });
  ExpectNextClientServed();
}

// A context that only the store knows: it is taken over, by a first call or beside a context of the
// caller's.
TEST_P(DigestFaultsTest, ContextOfAnotherNode) {
  sspi::DigestPackage& package = sspi::DigestPackage::Instance();
  for (const bool beside : {false, true}) {
    PlayWithFaults(Name(beside ? "taking over beside" : "taking over"), [&](FaultRun& run) {
      DigestClient client;
      Established context(server_, client);
      const std::string header = client.Sign();
      const digest::Opaque opaque = digest::Opaque::Parse(ReadResponse(header).opaque).value();
      ASSERT_TRUE(package.index().Remove(opaque, context.context));
      OwnedContext mine;
      AcceptCall challenge(server_, "");
      ASSERT_EQ(challenge(mine), SEC_I_CONTINUE_NEEDED);
      AcceptCall accept(server_, header, async());
      OwnedContext found;
      PCtxtHandle given = beside ? &mine.handle : nullptr;
      const SECURITY_STATUS status = run.Status([&] { return accept(found, given); });
      if (!Judge(run, SEC_I_COMPLETE_NEEDED, "accept", status)) {
        if (SameHandle(found.handle, mine.handle)) SecInvalidateHandle(&found.handle);
        OwnedContext again;
        EXPECT_EQ(accept(again), SEC_I_COMPLETE_NEEDED) << "the store still has it";
        EXPECT_EQ(DigestServer::Complete(again.handle, header), SEC_E_OK);
        return;
      }
      EXPECT_FALSE(SameHandle(found.handle, mine.handle));
      EXPECT_FALSE(SameHandle(found.handle, context.context));
      EXPECT_EQ(DigestServer::Complete(found.handle, header), SEC_E_OK);
      EXPECT_EQ(server_.Serve(header), SEC_E_OUT_OF_SEQUENCE);
    });
  }
}

// A first response to a challenge that this node does not know.
TEST_P(DigestFaultsTest, ChallengeOfAnotherNode) {
  sspi::DigestPackage& package = sspi::DigestPackage::Instance();
  for (const bool beside : {false, true}) {
    PlayWithFaults(
        Name(beside ? "first response beside" : "first response elsewhere"), [&](FaultRun& run) {
          // A store that has lost nothing yet.
          std::shared_ptr<context_store::MemoryStore> store =
              context_store::MemoryStore::Create(package.package_host().clock(), {}).value();
          ASSERT_TRUE(package.UseStore(store, nullptr));
          {
            OwnedContext there;
            DigestClient client;
            AcceptCall challenge(server_, "");
            ASSERT_EQ(challenge(there), SEC_I_CONTINUE_NEEDED);
            const std::string header = client.Respond(challenge.room.text());
            const digest::Opaque opaque =
                digest::Opaque::Parse(ReadResponse(header).opaque).value();
            ASSERT_TRUE(package.index().Remove(opaque, there.handle));
            OwnedContext mine;
            ASSERT_EQ(challenge(mine), SEC_I_CONTINUE_NEEDED);
            AcceptCall accept(server_, header, async());
            OwnedContext found;
            OwnedContext again;
            PCtxtHandle given = beside ? &mine.handle : nullptr;
            const SECURITY_STATUS status = run.Status([&] { return accept(found, given); });
            if (!Judge(run, SEC_E_OK, "accept", status)) {
              if (SameHandle(found.handle, mine.handle)) SecInvalidateHandle(&found.handle);
              const SECURITY_STATUS second = accept(again, given);
              EXPECT_TRUE(second == SEC_E_OK || second == SEC_I_CONTINUE_NEEDED ||
                          second == SEC_I_COMPLETE_NEEDED)
                  << second;
            }
            OwnedContext replayed;
            AcceptCall replay(server_, header);
            const SECURITY_STATUS third = replay(replayed);
            EXPECT_NE(third, SEC_E_OK);
            if (third == SEC_I_COMPLETE_NEEDED) {
              EXPECT_EQ(DigestServer::Complete(replayed.handle, header), SEC_E_OUT_OF_SEQUENCE);
            }
          }
          EXPECT_TRUE(package.UseStore(nullptr, nullptr));
        });
  }
  ExpectNextClientServed();
}

TEST_P(DigestFaultsTest, Delete) {
  PlayWithFaults(Name("delete"), [&](FaultRun& run) {
    DigestClient client;
    Established context(server_, client);
    context.deletes = false;
    std::optional<CountedAsync> call;
    if (async()) call.emplace();
    run.Returns(SEC_E_OK, "delete", [&] {
      if (!call.has_value()) return DeleteSecurityContext(&context.context);
      return call->Run([&](SspiAsyncContext* handle) {
        return SspiDeleteSecurityContextAsync(handle, &context.context);
      });
    });
    OwnedContext stranger;
    AcceptCall after(server_, client.Sign());
    const SECURITY_STATUS status = after(stranger);
    // A removal without memory is not tried again: the store keeps the entry until it expires.
    EXPECT_TRUE(status == SEC_I_CONTINUE_NEEDED || (run.fired() && status == SEC_I_COMPLETE_NEEDED))
        << status;
  });
}

// ---- Without a form of its own

class DigestPartsFaultsTest : public DigestFaultsTest {};

TEST_P(DigestPartsFaultsTest, CredentialAndSettings) {
  const std::string users = server_.folder().File("users");
  PlayWithFaults("credential and settings", [&](FaultRun& run) {
    char name[] = WDIGEST_SP_NAME_A;
    CredHandle credential{};
    const bool acquired = run.ReturnsOrCanBeRetried(SEC_E_OK, "acquire", [&] {
      return AcquireCredentialsHandleA(nullptr, name, SECPKG_CRED_INBOUND, nullptr, nullptr,
                                       nullptr, nullptr, &credential, nullptr);
    });
    ASSERT_TRUE(acquired || run.fired());
    KtlsimCred_DigestServer settings = Settings();
    settings.pszRealm = kRealm.data();
    settings.pszUsersFile = users.c_str();
    run.ReturnsOrCanBeRetried(SEC_E_OK, "set", [&] {
      return SetCredentialsAttributesA(&credential, KTLSIM_ATTR_DIGEST_SERVER, &settings,
                                       sizeof(settings));
    });
    EXPECT_EQ(FreeCredentialsHandle(&credential), SEC_E_OK);
  });
}

TEST_P(DigestPartsFaultsTest, ClientCredential) {
  PlayWithFaults("client's credential", [&](FaultRun& run) {
    Identity identity("Mufasa", "Circle of Life");
    char name[] = WDIGEST_SP_NAME_A;
    CredHandle credential{};
    const bool acquired = run.ReturnsOrCanBeRetried(SEC_E_OK, "acquire", [&] {
      return AcquireCredentialsHandleA(nullptr, name, SECPKG_CRED_OUTBOUND, nullptr, identity.get(),
                                       nullptr, nullptr, &credential, nullptr);
    });
    ASSERT_TRUE(acquired || run.fired());
    EXPECT_EQ(FreeCredentialsHandle(&credential), SEC_E_OK);
  });
}

// A client's response and its signatures. A count that a failed call has used up is not used again.
TEST_P(DigestPartsFaultsTest, Client) {
  PlayWithFaults("client", [&](FaultRun& run) {
    OwnedContext at_server;
    AcceptCall challenge(server_, "");
    ASSERT_EQ(challenge(at_server), SEC_I_CONTINUE_NEEDED);
    std::string token = challenge.room.text();
    Identity identity("Mufasa", "Circle of Life");
    DigestHandle credential(SECPKG_CRED_OUTBOUND, identity.get());
    std::string method = "GET";
    std::string uri = "/dir/index.html";
    SecBuffer in[3] = {{static_cast<ULONG>(token.size()), SECBUFFER_TOKEN, token.data()},
                       {static_cast<ULONG>(method.size()), SECBUFFER_PKG_PARAMS, method.data()},
                       {0, SECBUFFER_PKG_PARAMS, nullptr}};
    SecBufferDesc input = {SECBUFFER_VERSION, 3, in};
    OwnedContext client;
    Room room;
    ULONG attributes = 0;
    const bool responded = run.ReturnsOrCanBeRetried(SEC_E_OK, "respond", [&] {
      return InitializeSecurityContextA(credential.get(), nullptr, uri.data(),
                                        ISC_REQ_USE_HTTP_STYLE, 0, 0, &input, 0, &client.handle,
                                        room.get(), &attributes, nullptr);
    });
    ASSERT_TRUE(responded || run.fired());
    EXPECT_EQ(server_.Accept(room.text()).status, SEC_E_OK);
    std::array<char, 4096> padding;
    SecBuffer buffers[5];
    SecBufferDesc message = {SECBUFFER_VERSION, 5, buffers};
    run.ReturnsOrCanBeRetried(SEC_E_OK, "sign", [&] {
      buffers[0] = {0, SECBUFFER_TOKEN, nullptr};
      buffers[1] = {static_cast<ULONG>(method.size()), SECBUFFER_PKG_PARAMS, method.data()};
      buffers[2] = {static_cast<ULONG>(uri.size()), SECBUFFER_PKG_PARAMS, uri.data()};
      buffers[3] = {0, SECBUFFER_PKG_PARAMS, nullptr};
      buffers[4] = {static_cast<ULONG>(padding.size()), SECBUFFER_PADDING, padding.data()};
      return MakeSignature(&client.handle, 0, &message, 0);
    });
    EXPECT_EQ(server_.Serve({padding.data(), buffers[4].cbBuffer}), SEC_E_OK);
  });
}

TEST_P(DigestPartsFaultsTest, Attributes) {
  DigestClient client;
  Established context(server_, client);
  PlayWithFaults("attributes", [&](FaultRun& run) {
    SecPkgContext_NamesA names{};
    run.ReturnsOrCanBeRetried(SEC_E_OK, "names", [&] {
      return QueryContextAttributesA(&context.context, SECPKG_ATTR_NAMES, &names);
    });
    FreeContextBuffer(names.sUserName);
    SecPkgContext_SessionKey key{};
    run.ReturnsOrCanBeRetried(SEC_E_OK, "key", [&] {
      return QueryContextAttributesA(&context.context, SECPKG_ATTR_SESSION_KEY, &key);
    });
    FreeContextBuffer(key.SessionKey);
    SecPkgContext_PackageInfoA info{};
    run.ReturnsOrCanBeRetried(SEC_E_OK, "package", [&] {
      return QueryContextAttributesA(&context.context, SECPKG_ATTR_PACKAGE_INFO, &info);
    });
    FreeContextBuffer(info.PackageInfo);
  });
}

// One leg of SASL, whose token goes into `token`.
bool SaslLeg(FaultRun& run, const char* what, SECURITY_STATUS expected, bool server, ULONG flags,
             PCredHandle credential, OwnedContext& context, std::string* token) {
  std::string target = "imap/elwood.example.org";
  Room room;
  SecBuffer in = {static_cast<ULONG>(token->size()), SECBUFFER_TOKEN,
                  token->empty() ? nullptr : token->data()};
  SecBufferDesc input = {SECBUFFER_VERSION, 1, &in};
  room.description.cBuffers = 1;
  ULONG attributes = 0;
  const bool first = !SecIsValidHandle(&context.handle);
  const bool good = run.ReturnsOrCanBeRetried(expected, what, [&] {
    PCtxtHandle given = first ? nullptr : &context.handle;
    if (server) {
      return AcceptSecurityContext(credential, given, &input, flags, 0, &context.handle, room.get(),
                                   &attributes, nullptr);
    }
    return InitializeSecurityContextA(credential, given, target.data(), flags, 0, 0, &input, 0,
                                      &context.handle, room.get(), &attributes, nullptr);
  });
  *token = room.text();
  return good || run.fired();
}

TEST_P(DigestPartsFaultsTest, Sasl) {
  Identity identity("Mufasa", "Circle of Life");
  DigestHandle client_credential(SECPKG_CRED_OUTBOUND, identity.get());
  PlayWithFaults("SASL", [&](FaultRun& run) {
    OwnedContext server;
    OwnedContext client;
    std::string token;
    const ULONG asks = ASC_REQ_CONFIDENTIALITY;
    ASSERT_TRUE(SaslLeg(run, "challenge", SEC_I_CONTINUE_NEEDED, true, asks, server_.credential(),
                        server, &token));
    ASSERT_TRUE(SaslLeg(run, "respond", SEC_I_CONTINUE_NEEDED, false, ISC_REQ_CONFIDENTIALITY,
                        client_credential.get(), client, &token));
    ASSERT_TRUE(SaslLeg(run, "verify", SEC_E_OK, true, asks, server_.credential(), server, &token));
    ASSERT_TRUE(SaslLeg(run, "rspauth", SEC_E_OK, false, ISC_REQ_CONFIDENTIALITY,
                        client_credential.get(), client, &token));
    std::array<char, 5> text = {'h', 'e', 'l', 'l', 'o'};
    std::array<char, 64> room;
    SecBuffer buffers[2] = {{text.size(), SECBUFFER_DATA, text.data()},
                            {24, SECBUFFER_PADDING, room.data()}};
    SecBufferDesc message = {SECBUFFER_VERSION, 2, buffers};
    if (!run.ReturnsOrCanBeRetried(
            SEC_E_OK, "seal", [&] { return EncryptMessage(&client.handle, 0, &message, 0); })) {
      return;
    }
    std::string sealed(text.data(), text.size());
    sealed.append(room.data(), buffers[1].cbBuffer);
    SecBuffer opened[2] = {{static_cast<ULONG>(sealed.size()), SECBUFFER_DATA, sealed.data()},
                           {0, SECBUFFER_PADDING, nullptr}};
    SecBufferDesc received = {SECBUFFER_VERSION, 2, opened};
    ULONG qop = 0;
    const SECURITY_STATUS status =
        run.Status([&] { return DecryptMessage(&server.handle, &received, 0, &qop); });
    if (run.Judge(SEC_E_OK, "open", status)) {
      EXPECT_EQ(std::string_view(sealed).substr(0, opened[0].cbBuffer), "hello");
    }
  });
}

INSTANTIATE_TEST_SUITE_P(Forms, DigestFaultsTest, testing::Bool(), [](const auto& test) {
  return std::string(test.param ? "Asynchronous" : "Synchronous");
});
INSTANTIATE_TEST_SUITE_P(Parts, DigestPartsFaultsTest, testing::Values(false),
                         [](const auto& /*test*/) { return std::string("Synchronous"); });

}  // namespace
}  // namespace ktlsim::test
