// Every exported function, each call with every allocation failing once. The table is compared with
// the public headers and with the exports of the shared library.
#include <ktlsim/processor.h>
#include <ktlsim/sspi_ext.h>
#include <schannel.h>
#include <sspi.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

#include "tests/faults/authority_scenes.h"
#include "tests/faults/authorization_scenes.h"
#include "tests/faults/ends.h"
#include "tests/support/paths.h"

// The kernel-mode table, which the library's own headers show in kernel mode only.
extern "C" PSecurityFunctionTableW Ktlsim_k_InitSecurityInterfaceW(void);

namespace ktlsim::test {
namespace {

// What scenes share: made once, without faults.
struct World {
  static World& Get() {
    static auto* const world = new World();
    return *world;
  }

  FaultCredential server_credential{
      {.use = SECPKG_CRED_INBOUND, .certificate = FaultAuthority::Get().localhost}};
  FaultCredential client_credential{{.use = SECPKG_CRED_OUTBOUND,
                                     .flags = SCH_CRED_MANUAL_CRED_VALIDATION,
                                     .certificate = FaultAuthority::Get().localhost}};
  TestEnd client{false};
  TestEnd server{true};

 private:
  World() {
    EXPECT_TRUE(RunHandshake(client, client_credential.get(), server, server_credential.get()));
    client.Open(client_credential.get());
  }
};

// A first leg's handle, made in advance.
struct Begun {
  Begun() {
    Bytes token = end.Leg(World::Get().client_credential.get());
    EXPECT_EQ(end.status, SEC_I_CONTINUE_NEEDED);
    EXPECT_FALSE(token.empty());
  }
  TestEnd end{false};
};

struct Names {
  Texts package{UNISP_NAME_A};
  Texts principal{"nobody"};
  Texts target{"localhost"};
};

SCH_CREDENTIALS ServerCredentials(PCCERT_CONTEXT* certificate) {
  *certificate = FaultAuthority::Get().localhost;
  SCH_CREDENTIALS credentials{};
  credentials.dwVersion = SCH_CREDENTIALS_VERSION;
  credentials.cCreds = 1;
  credentials.paCred = certificate;
  return credentials;
}

// `acquire(credentials, handle)`, then the handle is freed.
void AcquireScene(FaultRun& run, const char* what,
                  const std::function<SECURITY_STATUS(SCH_CREDENTIALS*, PCredHandle)>& acquire) {
  PCCERT_CONTEXT certificate = nullptr;
  SCH_CREDENTIALS credentials = ServerCredentials(&certificate);
  CredHandle handle{};
  if (run.ReturnsOrCanBeRetried(SEC_E_OK, what, [&] { return acquire(&credentials, &handle); }) ||
      run.fired()) {
    EXPECT_EQ(FreeCredentialsHandle(&handle), SEC_E_OK);
  }
}

// The function table, called by the name under which it is exported.
template <typename Table>
void TableScene(FaultRun& run, const char* what, Table* (*function)()) {
  Table* const table = run.Call(function);
  if (table == nullptr) run.Report(what, SEC_E_INTERNAL_ERROR);
}

// First legs of clients: `begin(in, out, new context)`.
void BeginScene(FaultRun& run, const char* what,
                const std::function<SECURITY_STATUS(PSecBufferDesc, PCtxtHandle)>& begin) {
  Bytes output(32768);
  SecBuffer out = {static_cast<ULONG>(output.size()), SECBUFFER_TOKEN, output.data()};
  SecBufferDesc out_desc = {SECBUFFER_VERSION, 1, &out};
  CtxtHandle context;
  SecInvalidateHandle(&context);
  run.ReturnsOrCanBeRetried(SEC_I_CONTINUE_NEEDED, what, [&] {
    out.cbBuffer = static_cast<ULONG>(output.size());
    return begin(&out_desc, &context);
  });
  if (SecIsValidHandle(&context)) {
    EXPECT_EQ(DeleteSecurityContext(&context), SEC_E_OK);
  }
}

constexpr ULONG kClientFlags = ISC_REQ_STREAM | ISC_REQ_USE_SUPPLIED_CREDS;

// The server's first leg, with a ClientHello of its own.
void AcceptScene(
    FaultRun& run, const char* what,
    const std::function<SECURITY_STATUS(PSecBufferDesc, PSecBufferDesc, PCtxtHandle)>& accept) {
  TestEnd client(false);
  Bytes hello = client.Leg(World::Get().client_credential.get());
  SecBuffer in[2] = {{static_cast<ULONG>(hello.size()), SECBUFFER_TOKEN, hello.data()},
                     {0, SECBUFFER_EMPTY, nullptr}};
  SecBufferDesc in_desc = {SECBUFFER_VERSION, 2, in};
  BeginScene(run, what, [&](PSecBufferDesc out, PCtxtHandle context) {
    in[1] = {0, SECBUFFER_EMPTY, nullptr};
    return accept(&in_desc, out, context);
  });
}

using Seal = std::function<SECURITY_STATUS(PSecBufferDesc)>;

// One record, sealed by the client and opened by the server outside the fault.
void SealScene(FaultRun& run, const char* what, const Seal& seal) {
  World& world = World::Get();
  SecPkgContext_StreamSizes sizes{};
  QueryContextAttributesA(&world.client.context, SECPKG_ATTR_STREAM_SIZES, &sizes);
  Bytes record(sizes.cbHeader + 100 + sizes.cbTrailer, 'x');
  SecBuffer buffers[4];
  SecBufferDesc message = {SECBUFFER_VERSION, 4, buffers};
  const bool sealed = run.ReturnsOrCanBeRetried(SEC_E_OK, what, [&] {
    buffers[0] = {sizes.cbHeader, SECBUFFER_STREAM_HEADER, record.data()};
    buffers[1] = {100, SECBUFFER_DATA, record.data() + sizes.cbHeader};
    buffers[2] = {sizes.cbTrailer, SECBUFFER_STREAM_TRAILER, record.data() + sizes.cbHeader + 100};
    buffers[3] = {0, SECBUFFER_EMPTY, nullptr};
    return seal(&message);
  });
  if (!sealed && !run.fired()) return;
  record.resize(buffers[0].cbBuffer + buffers[1].cbBuffer + buffers[2].cbBuffer);
  Append(world.server.inbox, record);
  EXPECT_EQ(world.server.Open(world.server_credential.get()).size(), 100U) << what;
}

void OpenScene(FaultRun& run, const char* what, const Seal& open) {
  World& world = World::Get();
  Bytes record = world.client.Seal(Bytes(100, 'y'));
  SecBuffer buffers[4];
  SecBufferDesc message = {SECBUFFER_VERSION, 4, buffers};
  run.ReturnsOrCanBeRetried(SEC_E_OK, what, [&] {
    buffers[0] = {static_cast<ULONG>(record.size()), SECBUFFER_DATA, record.data()};
    for (int i = 1; i < 4; ++i) buffers[i] = {0, SECBUFFER_EMPTY, nullptr};
    return open(&message);
  });
  EXPECT_EQ(buffers[1].cbBuffer, 100U) << what;
}

// All the attributes that a context has.
void QueryScene(FaultRun& run, const char* what,
                const std::function<SECURITY_STATUS(PCtxtHandle, ULONG, void*)>& query) {
  CtxtHandle* const context = &World::Get().client.context;
  SecPkgContext_StreamSizes sizes{};
  SecPkgContext_ConnectionInfo connection{};
  SecPkgContext_CipherInfo cipher{};
  cipher.dwVersion = SECPKGCONTEXT_CIPHERINFO_V1;
  SecPkgContext_ApplicationProtocol protocol{};
  SecPkgContext_SessionInfo session{};
  const auto ask = [&](ULONG attribute, void* buffer) {
    return run.ReturnsOrCanBeRetried(SEC_E_OK, what,
                                     [&] { return query(context, attribute, buffer); });
  };
  ask(SECPKG_ATTR_STREAM_SIZES, &sizes);
  ask(SECPKG_ATTR_CONNECTION_INFO, &connection);
  ask(SECPKG_ATTR_CIPHER_INFO, &cipher);
  ask(SECPKG_ATTR_APPLICATION_PROTOCOL, &protocol);
  ask(SECPKG_ATTR_SESSION_INFO, &session);
  for (const ULONG attribute :
       {ULONG{SECPKG_ATTR_REMOTE_CERT_CONTEXT}, ULONG{SECPKG_ATTR_LOCAL_CERT_CONTEXT}}) {
    PCCERT_CONTEXT certificate = nullptr;
    // The client was not asked for its certificate.
    const SECURITY_STATUS expected =
        attribute == SECPKG_ATTR_LOCAL_CERT_CONTEXT ? SEC_E_NO_CREDENTIALS : SEC_E_OK;
    run.ReturnsOrCanBeRetried(expected, what, [&] {
      return query(context, attribute, static_cast<void*>(&certificate));
    });
    CertFreeCertificateContext(certificate);
  }
  SecPkgContext_Certificates chain{};
  ask(SECPKG_ATTR_REMOTE_CERTIFICATES, &chain);
  FreeContextBuffer(chain.pbCertificateChain);
}

void QueryNames(FaultRun& run, const char* what,
                const std::function<SECURITY_STATUS(PCredHandle, void*)>& query) {
  void* names = nullptr;
  run.ReturnsOrCanBeRetried(SEC_E_OK, what, [&] {
    return query(World::Get().server_credential.get(), static_cast<void*>(&names));
  });
  EXPECT_EQ(FreeContextBuffer(names), SEC_E_OK);
}

// Every attribute that can be set, on a credential made for it.
void SetScene(FaultRun& run, const char* what,
              const std::function<SECURITY_STATUS(PCredHandle, ULONG, void*, ULONG)>& set) {
  const FaultAuthority& authority = FaultAuthority::Get();
  FaultCredential server({.use = SECPKG_CRED_INBOUND, .certificate = authority.localhost});
  const auto change = [&](ULONG attribute, auto value) {
    run.ReturnsOrCanBeRetried(SEC_E_OK, what,
                              [&] { return set(server.get(), attribute, &value, sizeof(value)); });
  };
  change(KTLSIM_ATTR_TICKETS, KtlsimCred_Tickets{1});
  change(KTLSIM_ATTR_CIPHER_SUITES, KtlsimCred_CipherSuites{"TLS_AES_128_GCM_SHA256"});
  change(KTLSIM_ATTR_TRUST, KtlsimCred_Trust{authority.trust_path.c_str()});
  change(KTLSIM_ATTR_GROUPS, KtlsimCred_Groups{"P-256:X25519"});
  const KtlsimCred_ServerName name{"www.example.org", authority.other_name};
  change(KTLSIM_ATTR_SERVER_NAMES, KtlsimCred_ServerNames{1, &name, KTLSIM_SERVER_NAMES_STRICT});
  change(KTLSIM_ATTR_CLIENT_AUTH,
         KtlsimCred_ClientAuth{KTLSIM_CLIENT_AUTH_REQUIRE, authority.trust_path.c_str()});
}

// Certificates: `make(out)`.
void CertificateScene(FaultRun& run, const char* what,
                      const std::function<SECURITY_STATUS(PCCERT_CONTEXT*)>& make) {
  PCCERT_CONTEXT made = nullptr;
  run.ReturnsOrCanBeRetried(SEC_E_OK, what, [&] {
    const SECURITY_STATUS status = make(&made);
    if (status != SEC_E_OK && made != nullptr) run.Report("a certificate in spite of it", status);
    return status;
  });
  EXPECT_EQ(CertFreeCertificateContext(made), TRUE);
}

template <typename Info>
void PackageScene(FaultRun& run, const char* what,
                  const std::function<SECURITY_STATUS(Info**)>& ask) {
  Info* info = nullptr;
  run.ReturnsOrCanBeRetried(SEC_E_OK, what, [&] { return ask(&info); });
  EXPECT_EQ(FreeContextBuffer(info), SEC_E_OK);
}

void ControlScene(FaultRun& run, const char* what, SECURITY_STATUS expected,
                  const std::function<SECURITY_STATUS(PCtxtHandle, PSecBufferDesc)>& apply) {
  const Begun begun;
  DWORD type = SCHANNEL_SHUTDOWN;
  SecBuffer token = {sizeof(type), SECBUFFER_TOKEN, &type};
  SecBufferDesc desc = {SECBUFFER_VERSION, 1, &token};
  auto* context = const_cast<PCtxtHandle>(&begun.end.context);
  run.ReturnsOrCanBeRetried(expected, what, [&] { return apply(context, &desc); });
}

// One call whose status is always the same.
Scene Plain(SECURITY_STATUS expected, std::function<SECURITY_STATUS()> call) {
  return [expected, call = std::move(call)](FaultRun& run) {
    run.ReturnsOrCanBeRetried(expected, "the call", call);
  };
}

PCtxtHandle LiveContext() { return &World::Get().client.context; }
PCredHandle LiveCredential() { return World::Get().server_credential.get(); }

struct AsyncHandleScope {
  AsyncHandleScope() : handle(SspiCreateAsyncContext()) {}
  ~AsyncHandleScope() { SspiFreeAsyncContext(handle); }
  AsyncHandleScope(const AsyncHandleScope&) = delete;
  AsyncHandleScope& operator=(const AsyncHandleScope&) = delete;
  SspiAsyncContext* const handle;
};

// A client's first leg that the scene submits and owns.
class SubmittedLeg {
 public:
  explicit SubmittedLeg(SspiAsyncContext* async) {
    SecInvalidateHandle(&context_);
    EXPECT_EQ(SspiInitializeSecurityContextAsyncA(
                  async, World::Get().client_credential.get(), nullptr, names_.target.narrow.data(),
                  kClientFlags, 0, 0, nullptr, 0, &context_, &out_desc_, &attributes_, nullptr),
              SEC_E_OK);
  }
  SubmittedLeg(const SubmittedLeg&) = delete;
  SubmittedLeg& operator=(const SubmittedLeg&) = delete;
  // The call has ended.
  ~SubmittedLeg() {
    if (SecIsValidHandle(&context_)) {
      EXPECT_EQ(DeleteSecurityContext(&context_), SEC_E_OK);
    }
  }
  bool made_context() const { return SecIsValidHandle(&context_); }

 private:
  Names names_;
  Bytes output_ = Bytes(32768);
  SecBuffer out_ = {static_cast<ULONG>(output_.size()), SECBUFFER_TOKEN, output_.data()};
  SecBufferDesc out_desc_ = {SECBUFFER_VERSION, 1, &out_};
  CtxtHandle context_;
  ULONG attributes_ = 0;
};

// A call that waits while a callback holds the only processor is cancelled.
void CancelScene(FaultRun& run) {
  struct Hold {
    Event entered;
    Event release;
    Event left;
  } hold;
  const AsyncHandleScope holder;
  EXPECT_EQ(KtlsimSetNotifyMode(holder.handle, KTLSIM_NOTIFY_ON_PROCESSOR), SEC_E_OK);
  EXPECT_EQ(SspiSetAsyncNotifyCallback(
                holder.handle,
                [](SspiAsyncContext*, void* data) {
                  auto& held = *static_cast<Hold*>(data);
                  held.entered.Set();
                  held.release.Wait();
                  held.left.Set();
                },
                &hold),
            SEC_E_OK);
  const SubmittedLeg first(holder.handle);
  hold.entered.Wait();
  AsyncCall queued;
  const SubmittedLeg second(queued.get());
  const bool cancelled = run.ReturnsOrCanBeRetried(
      SEC_E_OK, "cancel", [&] { return KtlsimCancelAsyncCall(queued.get()); });
  hold.release.Set();
  hold.left.Wait();
  EXPECT_EQ(queued.Finish(), cancelled ? KTLSIM_E_CANCELLED : SEC_I_CONTINUE_NEEDED);
  EXPECT_EQ(queued.callbacks(), 1);
  EXPECT_NE(second.made_context(), cancelled);
  EXPECT_TRUE(first.made_context());
}

using Scenes = std::map<std::string, Scene>;

void AddPackages(Scenes& scenes) {
  scenes["EnumerateSecurityPackagesA"] = [](FaultRun& run) {
    ULONG count = 0;
    PackageScene<SecPkgInfoA>(run, "enumerate", [&](SecPkgInfoA** out) {
      return EnumerateSecurityPackagesA(&count, out);
    });
  };
  scenes["EnumerateSecurityPackagesW"] = [](FaultRun& run) {
    ULONG count = 0;
    PackageScene<SecPkgInfoW>(run, "enumerate", [&](SecPkgInfoW** out) {
      return EnumerateSecurityPackagesW(&count, out);
    });
  };
  scenes["QuerySecurityPackageInfoA"] = [](FaultRun& run) {
    Names names;
    PackageScene<SecPkgInfoA>(run, "query", [&](SecPkgInfoA** out) {
      return QuerySecurityPackageInfoA(names.package.narrow.data(), out);
    });
  };
  scenes["QuerySecurityPackageInfoW"] = [](FaultRun& run) {
    Names names;
    PackageScene<SecPkgInfoW>(run, "query", [&](SecPkgInfoW** out) {
      return QuerySecurityPackageInfoW(names.package.wide.data(), out);
    });
  };
  scenes["Ktlsim_k_QuerySecurityPackageInfoW"] = [](FaultRun& run) {
    Names names;
    PackageScene<SecPkgInfoW>(run, "query", [&](SecPkgInfoW** out) {
      return Ktlsim_k_QuerySecurityPackageInfoW(&names.package.counted, out);
    });
  };
  scenes["InitSecurityInterfaceA"] = [](FaultRun& run) {
    TableScene(run, "table", &InitSecurityInterfaceA);
  };
  scenes["InitSecurityInterfaceW"] = [](FaultRun& run) {
    TableScene(run, "table", &InitSecurityInterfaceW);
  };
  scenes["Ktlsim_k_InitSecurityInterfaceW"] = [](FaultRun& run) {
    TableScene(run, "table", &Ktlsim_k_InitSecurityInterfaceW);
  };
}

void AddCredentials(Scenes& scenes) {
  scenes["AcquireCredentialsHandleA"] = [](FaultRun& run) {
    Names n;
    AcquireScene(run, "acquire", [&](SCH_CREDENTIALS* data, PCredHandle out) {
      return AcquireCredentialsHandleA(n.principal.narrow.data(), n.package.narrow.data(),
                                       SECPKG_CRED_INBOUND, nullptr, data, nullptr, nullptr, out,
                                       nullptr);
    });
  };
  scenes["AcquireCredentialsHandleW"] = [](FaultRun& run) {
    Names n;
    AcquireScene(run, "acquire", [&](SCH_CREDENTIALS* data, PCredHandle out) {
      return AcquireCredentialsHandleW(n.principal.wide.data(), n.package.wide.data(),
                                       SECPKG_CRED_INBOUND, nullptr, data, nullptr, nullptr, out,
                                       nullptr);
    });
  };
  scenes["Ktlsim_k_AcquireCredentialsHandleW"] = [](FaultRun& run) {
    Names n;
    AcquireScene(run, "acquire", [&](SCH_CREDENTIALS* data, PCredHandle out) {
      return Ktlsim_k_AcquireCredentialsHandleW(&n.principal.counted, &n.package.counted,
                                                SECPKG_CRED_INBOUND, nullptr, data, nullptr,
                                                nullptr, out, nullptr);
    });
  };
  scenes["SspiAcquireCredentialsHandleAsyncA"] = [](FaultRun& run) {
    Names n;
    CountedAsync async;
    AcquireScene(run, "acquire", [&](SCH_CREDENTIALS* data, PCredHandle out) {
      return async.Run([&](SspiAsyncContext* handle) {
        return SspiAcquireCredentialsHandleAsyncA(handle, n.principal.narrow.data(),
                                                  n.package.narrow.data(), SECPKG_CRED_INBOUND,
                                                  nullptr, data, nullptr, nullptr, out, nullptr);
      });
    });
  };
  scenes["SspiAcquireCredentialsHandleAsyncW"] = [](FaultRun& run) {
    Names n;
    CountedAsync async;
    AcquireScene(run, "acquire", [&](SCH_CREDENTIALS* data, PCredHandle out) {
      return async.Run([&](SspiAsyncContext* handle) {
        return SspiAcquireCredentialsHandleAsyncW(handle, n.principal.wide.data(),
                                                  n.package.wide.data(), SECPKG_CRED_INBOUND,
                                                  nullptr, data, nullptr, nullptr, out, nullptr);
      });
    });
  };
  scenes["Ktlsim_k_SspiAcquireCredentialsHandleAsyncW"] = [](FaultRun& run) {
    Names n;
    CountedAsync async;
    AcquireScene(run, "acquire", [&](SCH_CREDENTIALS* data, PCredHandle out) {
      return async.Run([&](SspiAsyncContext* handle) {
        return Ktlsim_k_SspiAcquireCredentialsHandleAsyncW(
            handle, &n.principal.counted, &n.package.counted, SECPKG_CRED_INBOUND, nullptr, data,
            nullptr, nullptr, out, nullptr);
      });
    });
  };
  scenes["FreeCredentialsHandle"] = [](FaultRun& run) {
    CredHandle handle{};
    PCCERT_CONTEXT certificate = nullptr;
    SCH_CREDENTIALS data = ServerCredentials(&certificate);
    char name[] = UNISP_NAME_A;
    ASSERT_EQ(AcquireCredentialsHandleA(nullptr, name, SECPKG_CRED_INBOUND, nullptr, &data, nullptr,
                                        nullptr, &handle, nullptr),
              SEC_E_OK);
    run.ReturnsOrCanBeRetried(SEC_E_OK, "free", [&] { return FreeCredentialsHandle(&handle); });
  };
  scenes["SspiFreeCredentialsHandleAsync"] = [](FaultRun& run) {
    CredHandle handle{};
    PCCERT_CONTEXT certificate = nullptr;
    SCH_CREDENTIALS data = ServerCredentials(&certificate);
    char name[] = UNISP_NAME_A;
    ASSERT_EQ(AcquireCredentialsHandleA(nullptr, name, SECPKG_CRED_INBOUND, nullptr, &data, nullptr,
                                        nullptr, &handle, nullptr),
              SEC_E_OK);
    CountedAsync async;
    run.ReturnsOrCanBeRetried(SEC_E_OK, "free", [&] {
      return async.Run([&](SspiAsyncContext* context) {
        return SspiFreeCredentialsHandleAsync(context, &handle);
      });
    });
  };
  scenes["QueryCredentialsAttributesA"] = [](FaultRun& run) {
    QueryNames(run, "names", [](PCredHandle handle, void* out) {
      return QueryCredentialsAttributesA(handle, SECPKG_CRED_ATTR_NAMES, out);
    });
  };
  scenes["QueryCredentialsAttributesW"] = [](FaultRun& run) {
    QueryNames(run, "names", [](PCredHandle handle, void* out) {
      return QueryCredentialsAttributesW(handle, SECPKG_CRED_ATTR_NAMES, out);
    });
  };
  scenes["QueryCredentialsAttributesExA"] = [](FaultRun& run) {
    QueryNames(run, "names", [](PCredHandle handle, void* out) {
      return QueryCredentialsAttributesExA(handle, SECPKG_CRED_ATTR_NAMES, out, sizeof(void*));
    });
  };
  scenes["QueryCredentialsAttributesExW"] = [](FaultRun& run) {
    QueryNames(run, "names", [](PCredHandle handle, void* out) {
      return QueryCredentialsAttributesExW(handle, SECPKG_CRED_ATTR_NAMES, out, sizeof(void*));
    });
  };
  scenes["SetCredentialsAttributesA"] = [](FaultRun& run) {
    SetScene(run, "set", &SetCredentialsAttributesA);
  };
  scenes["SetCredentialsAttributesW"] = [](FaultRun& run) {
    SetScene(run, "set", &SetCredentialsAttributesW);
  };
  for (const char* name : {"SslEmptyCacheA", "SslEmptyCacheW"}) {
    const bool wide = std::string(name).back() == 'W';
    scenes[name] = [wide](FaultRun& run) {
      Names n;
      run.ReturnsOrCanBeRetried(SEC_E_OK, "empty", [&] {
        const BOOL emptied = wide ? SslEmptyCacheW(n.target.wide.data(), 0)
                                  : SslEmptyCacheA(n.target.narrow.data(), 0);
        return emptied == TRUE ? SEC_E_OK : SEC_E_INSUFFICIENT_MEMORY;
      });
    };
  }
}

void AddLegs(Scenes& scenes) {
  scenes["InitializeSecurityContextA"] = [](FaultRun& run) {
    Names n;
    BeginScene(run, "begin", [&](PSecBufferDesc out, PCtxtHandle context) {
      return InitializeSecurityContextA(World::Get().client_credential.get(), nullptr,
                                        n.target.narrow.data(), kClientFlags, 0, 0, nullptr, 0,
                                        context, out, nullptr, nullptr);
    });
  };
  scenes["InitializeSecurityContextW"] = [](FaultRun& run) {
    Names n;
    BeginScene(run, "begin", [&](PSecBufferDesc out, PCtxtHandle context) {
      return InitializeSecurityContextW(World::Get().client_credential.get(), nullptr,
                                        n.target.wide.data(), kClientFlags, 0, 0, nullptr, 0,
                                        context, out, nullptr, nullptr);
    });
  };
  scenes["Ktlsim_k_InitializeSecurityContextW"] = [](FaultRun& run) {
    Names n;
    BeginScene(run, "begin", [&](PSecBufferDesc out, PCtxtHandle context) {
      return Ktlsim_k_InitializeSecurityContextW(World::Get().client_credential.get(), nullptr,
                                                 &n.target.counted, kClientFlags, 0, 0, nullptr, 0,
                                                 context, out, nullptr, nullptr);
    });
  };
  scenes["SspiInitializeSecurityContextAsyncA"] = [](FaultRun& run) {
    Names n;
    CountedAsync async;
    BeginScene(run, "begin", [&](PSecBufferDesc out, PCtxtHandle context) {
      return async.Run([&](SspiAsyncContext* handle) {
        return SspiInitializeSecurityContextAsyncA(handle, World::Get().client_credential.get(),
                                                   nullptr, n.target.narrow.data(), kClientFlags, 0,
                                                   0, nullptr, 0, context, out, nullptr, nullptr);
      });
    });
  };
  scenes["SspiInitializeSecurityContextAsyncW"] = [](FaultRun& run) {
    Names n;
    CountedAsync async;
    BeginScene(run, "begin", [&](PSecBufferDesc out, PCtxtHandle context) {
      return async.Run([&](SspiAsyncContext* handle) {
        return SspiInitializeSecurityContextAsyncW(handle, World::Get().client_credential.get(),
                                                   nullptr, n.target.wide.data(), kClientFlags, 0,
                                                   0, nullptr, 0, context, out, nullptr, nullptr);
      });
    });
  };
  scenes["Ktlsim_k_SspiInitializeSecurityContextAsyncW"] = [](FaultRun& run) {
    Names n;
    CountedAsync async(KTLSIM_NOTIFY_ON_PROCESSOR);
    BeginScene(run, "begin", [&](PSecBufferDesc out, PCtxtHandle context) {
      return async.Run([&](SspiAsyncContext* handle) {
        return Ktlsim_k_SspiInitializeSecurityContextAsyncW(
            handle, World::Get().client_credential.get(), nullptr, &n.target.counted, kClientFlags,
            0, 0, nullptr, 0, context, out, nullptr, nullptr);
      });
    });
  };
  scenes["AcceptSecurityContext"] = [](FaultRun& run) {
    AcceptScene(run, "accept", [](PSecBufferDesc in, PSecBufferDesc out, PCtxtHandle context) {
      return AcceptSecurityContext(LiveCredential(), nullptr, in, ASC_REQ_STREAM, 0, context, out,
                                   nullptr, nullptr);
    });
  };
  scenes["SspiAcceptSecurityContextAsync"] = [](FaultRun& run) {
    CountedAsync async;
    AcceptScene(run, "accept", [&](PSecBufferDesc in, PSecBufferDesc out, PCtxtHandle context) {
      return async.Run([&](SspiAsyncContext* handle) {
        return SspiAcceptSecurityContextAsync(handle, LiveCredential(), nullptr, in, ASC_REQ_STREAM,
                                              0, context, out, nullptr, nullptr);
      });
    });
  };
  scenes["Ktlsim_k_SspiAcceptSecurityContextAsync"] = [](FaultRun& run) {
    CountedAsync async;
    AcceptScene(run, "accept", [&](PSecBufferDesc in, PSecBufferDesc out, PCtxtHandle context) {
      return async.Run([&](SspiAsyncContext* handle) {
        return Ktlsim_k_SspiAcceptSecurityContextAsync(handle, LiveCredential(), nullptr, in,
                                                       ASC_REQ_STREAM, 0, context, out, nullptr,
                                                       nullptr);
      });
    });
  };
  scenes["DeleteSecurityContext"] = [](FaultRun& run) {
    Begun begun;
    run.ReturnsOrCanBeRetried(SEC_E_OK, "delete",
                              [&] { return DeleteSecurityContext(&begun.end.context); });
    SecInvalidateHandle(&begun.end.context);
  };
  scenes["SspiDeleteSecurityContextAsync"] = [](FaultRun& run) {
    Begun begun;
    CountedAsync async;
    run.ReturnsOrCanBeRetried(SEC_E_OK, "delete", [&] {
      return async.Run([&](SspiAsyncContext* handle) {
        return SspiDeleteSecurityContextAsync(handle, &begun.end.context);
      });
    });
    SecInvalidateHandle(&begun.end.context);
  };
  scenes["ApplyControlToken"] = [](FaultRun& run) {
    ControlScene(run, "control", SEC_E_OK, &ApplyControlToken);
  };
  scenes["CompleteAuthToken"] = [](FaultRun& run) {
    ControlScene(run, "complete", SEC_E_UNSUPPORTED_FUNCTION, &CompleteAuthToken);
  };
  scenes["SspiCompleteAuthTokenAsync"] = [](FaultRun& run) {
    CountedAsync async;
    ControlScene(run, "complete", SEC_E_UNSUPPORTED_FUNCTION,
                 [&](PCtxtHandle context, PSecBufferDesc token) {
                   return async.Run([&](SspiAsyncContext* handle) {
                     return SspiCompleteAuthTokenAsync(handle, context, token);
                   });
                 });
  };
}

void AddMessagesAndQueries(Scenes& scenes) {
  scenes["EncryptMessage"] = [](FaultRun& run) {
    SealScene(run, "seal",
              [](PSecBufferDesc message) { return EncryptMessage(LiveContext(), 0, message, 0); });
  };
  scenes["SspiEncryptMessageAsync"] = [](FaultRun& run) {
    CountedAsync async;
    SealScene(run, "seal", [&](PSecBufferDesc message) {
      return async.Run([&](SspiAsyncContext* handle) {
        return SspiEncryptMessageAsync(handle, LiveContext(), 0, message, 0);
      });
    });
  };
  scenes["DecryptMessage"] = [](FaultRun& run) {
    OpenScene(run, "open", [](PSecBufferDesc message) {
      return DecryptMessage(&World::Get().server.context, message, 0, nullptr);
    });
  };
  scenes["SspiDecryptMessageAsync"] = [](FaultRun& run) {
    CountedAsync async;
    OpenScene(run, "open", [&](PSecBufferDesc message) {
      return async.Run([&](SspiAsyncContext* handle) {
        return SspiDecryptMessageAsync(handle, &World::Get().server.context, message, 0, nullptr);
      });
    });
  };
  scenes["QueryContextAttributesA"] = [](FaultRun& run) {
    QueryScene(run, "query", &QueryContextAttributesA);
  };
  scenes["QueryContextAttributesW"] = [](FaultRun& run) {
    QueryScene(run, "query", &QueryContextAttributesW);
  };
  scenes["QueryContextAttributesExA"] = [](FaultRun& run) {
    QueryScene(run, "query", [](PCtxtHandle context, ULONG attribute, void* buffer) {
      return QueryContextAttributesExA(context, attribute, buffer, 1024);
    });
  };
  scenes["QueryContextAttributesExW"] = [](FaultRun& run) {
    QueryScene(run, "query", [](PCtxtHandle context, ULONG attribute, void* buffer) {
      return QueryContextAttributesExW(context, attribute, buffer, 1024);
    });
  };
  scenes["FreeContextBuffer"] = Plain(SEC_E_OK, [] { return FreeContextBuffer(nullptr); });
  scenes["SslGetServerIdentity"] = Plain(SEC_E_INCOMPLETE_MESSAGE, [] {
    BYTE hello[1] = {22};
    PBYTE identity = nullptr;
    ULONG size = 0;
    return SslGetServerIdentity(hello, 1, &identity, &size, 0);
  });
}

void AddAsyncContexts(Scenes& scenes) {
  for (const char* name : {"SspiCreateAsyncContext", "SspiFreeAsyncContext"}) {
    scenes[name] = [](FaultRun& run) {
      SspiAsyncContext* handle = run.Call(&SspiCreateAsyncContext);
      if (handle == nullptr && !run.fired()) run.Report("no async context", SEC_E_INTERNAL_ERROR);
      run.Call([&] { SspiFreeAsyncContext(handle); });
    };
  }
  const auto on_idle = [](std::function<SECURITY_STATUS(SspiAsyncContext*)> call) -> Scene {
    return [call = std::move(call)](FaultRun& run) {
      const AsyncHandleScope async;
      run.ReturnsOrCanBeRetried(SEC_E_OK, "the call", [&] { return call(async.handle); });
    };
  };
  scenes["SspiReinitAsyncContext"] = on_idle(&SspiReinitAsyncContext);
  scenes["SspiSetAsyncNotifyCallback"] = on_idle([](SspiAsyncContext* handle) {
    return SspiSetAsyncNotifyCallback(handle, nullptr, nullptr);
  });
  scenes["SspiAsyncContextRequiresNotify"] = on_idle([](SspiAsyncContext* handle) {
    return SspiAsyncContextRequiresNotify(handle) != FALSE ? SEC_E_OK : SEC_E_OK;
  });
  scenes["SspiGetAsyncCallStatus"] = [](FaultRun& run) {
    const AsyncHandleScope async;
    const SECURITY_STATUS idle = SspiGetAsyncCallStatus(async.handle);
    run.ReturnsOrCanBeRetried(idle, "status", [&] { return SspiGetAsyncCallStatus(async.handle); });
  };
  scenes["KtlsimSetNotifyMode"] = on_idle([](SspiAsyncContext* handle) {
    return KtlsimSetNotifyMode(handle, KTLSIM_NOTIFY_ON_PROCESSOR);
  });
  scenes["KtlsimSetQueueWaitLimit"] =
      on_idle([](SspiAsyncContext* handle) { return KtlsimSetQueueWaitLimit(handle, 1000); });
  scenes["KtlsimCancelAsyncCall"] = &CancelScene;
}

void AddExtensions(Scenes& scenes) {
  scenes["KtlsimLoadCertificate"] = [](FaultRun& run) {
    CertificateScene(run, "load", [](PCCERT_CONTEXT* out) {
      const FaultAuthority& authority = FaultAuthority::Get();
      return KtlsimLoadCertificate(authority.chain_path.c_str(), authority.key_path.c_str(), out);
    });
  };
  scenes["KtlsimLoadCertificatePem"] = [](FaultRun& run) {
    CertificateScene(run, "load", [](PCCERT_CONTEXT* out) {
      const FaultAuthority& authority = FaultAuthority::Get();
      return KtlsimLoadCertificatePem(authority.chain_pem.c_str(), authority.key_pem.c_str(), out);
    });
  };
  scenes["KtlsimCreateSelfSignedCertificate"] = [](FaultRun& run) {
    CertificateScene(run, "create", [](PCCERT_CONTEXT* out) {
      return KtlsimCreateSelfSignedCertificate("localhost", KTLSIM_KEY_ECDSA_P256, out);
    });
  };
  for (const char* name : {"CertDuplicateCertificateContext", "CertFreeCertificateContext"}) {
    scenes[name] = Plain(SEC_E_OK, [] {
      PCCERT_CONTEXT own = CertDuplicateCertificateContext(FaultAuthority::Get().localhost);
      return CertFreeCertificateContext(own) == TRUE ? SEC_E_OK : SEC_E_INTERNAL_ERROR;
    });
  }
  scenes["KtlsimQueryStatistics"] = Plain(SEC_E_OK, [] {
    KtlsimStatistics statistics{};
    statistics.cbSize = sizeof(statistics);
    return KtlsimQueryStatistics(&statistics);
  });
  scenes["KtlsimQueryProcessorStatistics"] = Plain(SEC_E_OK, [] {
    KtlsimProcessorStatistics statistics{};
    statistics.cbSize = sizeof(statistics);
    return KtlsimQueryProcessorStatistics(0, &statistics);
  });
  scenes["KtlsimForEachProcessor"] = Plain(SEC_E_OK, [] {
    return KtlsimForEachProcessor([](void*, const KtlsimProcessor*) {}, nullptr);
  });
  scenes["KtlsimProcessorCpuNs"] = Plain(SEC_E_OK, [] {
    KtlsimProcessorCpuNs("io");
    return SEC_E_OK;
  });
  scenes["KtlsimStatusName"] = Plain(SEC_E_OK, [] {
    return KtlsimStatusName(SEC_E_OK) != nullptr ? SEC_E_OK : SEC_E_INTERNAL_ERROR;
  });
  scenes["KtlsimStatusText"] = Plain(SEC_E_OK, [] {
    return KtlsimStatusText(SEC_E_OK) != nullptr ? SEC_E_OK : SEC_E_INTERNAL_ERROR;
  });
  scenes["KtlsimStatusFromName"] = Plain(SEC_E_OK, [] {
    SECURITY_STATUS status = SEC_E_INTERNAL_ERROR;
    return KtlsimStatusFromName("SEC_E_OK", &status);
  });
  scenes["KtlsimLastErrorText"] = Plain(
      SEC_E_OK, [] { return KtlsimLastErrorText() != nullptr ? SEC_E_OK : SEC_E_INTERNAL_ERROR; });
  // The library runs already; starting and stopping have a test of their own.
  scenes["KtlsimStart"] = Plain(SEC_E_INVALID_PARAMETER, [] { return KtlsimStart(nullptr); });
  scenes["KtlsimStop"] = [](FaultRun& run) {
    if (run.Call(&KtlsimStop) != SEC_E_OK) run.Report("stop", SEC_E_INTERNAL_ERROR);
    const KtlsimOptions options = [] {
      KtlsimOptions one = OneProcessor();
      one.cbSize = sizeof(one);
      return one;
    }();
    EXPECT_EQ(KtlsimStart(&options), SEC_E_OK);
  };
}

void AddUnsupported(Scenes& scenes) {
  constexpr SECURITY_STATUS kNo = SEC_E_UNSUPPORTED_FUNCTION;
  scenes["MakeSignature"] = Plain(kNo, [] { return MakeSignature(LiveContext(), 0, nullptr, 0); });
  scenes["VerifySignature"] =
      Plain(kNo, [] { return VerifySignature(LiveContext(), nullptr, 0, nullptr); });
  scenes["SspiVerifySignatureAsync"] = [](FaultRun& run) {
    CountedAsync async;
    run.ReturnsOrCanBeRetried(SEC_E_UNSUPPORTED_FUNCTION, "verify", [&] {
      return async.Run([](SspiAsyncContext* handle) {
        return SspiVerifySignatureAsync(handle, LiveContext(), nullptr, 0, nullptr);
      });
    });
  };
  scenes["KtlsimReplyToDigest"] = Plain(
      SEC_E_INVALID_PARAMETER, [] { return KtlsimReplyToDigest(nullptr, SEC_E_OK, nullptr, 0); });
  scenes["ImpersonateSecurityContext"] =
      Plain(kNo, [] { return ImpersonateSecurityContext(LiveContext()); });
  scenes["Ktlsim_k_ImpersonateSecurityContext"] =
      Plain(kNo, [] { return Ktlsim_k_ImpersonateSecurityContext(LiveContext()); });
  scenes["RevertSecurityContext"] =
      Plain(SEC_E_OK, [] { return RevertSecurityContext(LiveContext()); });
  scenes["QuerySecurityContextToken"] = Plain(kNo, [] {
    void* token = nullptr;
    return QuerySecurityContextToken(LiveContext(), &token);
  });
  scenes["ExportSecurityContext"] =
      Plain(kNo, [] { return ExportSecurityContext(LiveContext(), 0, nullptr, nullptr); });
  scenes["Ktlsim_k_ExportSecurityContext"] =
      Plain(kNo, [] { return Ktlsim_k_ExportSecurityContext(LiveContext(), 0, nullptr, nullptr); });
  scenes["ImportSecurityContextA"] =
      Plain(kNo, [] { return ImportSecurityContextA(nullptr, nullptr, nullptr, nullptr); });
  scenes["ImportSecurityContextW"] =
      Plain(kNo, [] { return ImportSecurityContextW(nullptr, nullptr, nullptr, nullptr); });
  scenes["Ktlsim_k_ImportSecurityContextW"] = Plain(
      kNo, [] { return Ktlsim_k_ImportSecurityContextW(nullptr, nullptr, nullptr, nullptr); });
  scenes["DelegateSecurityContext"] = Plain(kNo, [] {
    return DelegateSecurityContext(LiveContext(), nullptr, {}, nullptr, nullptr, nullptr);
  });
  scenes["Ktlsim_k_DelegateSecurityContext"] = Plain(kNo, [] {
    return Ktlsim_k_DelegateSecurityContext(LiveContext(), nullptr, {}, nullptr, nullptr, nullptr);
  });
  scenes["SetContextAttributesA"] =
      Plain(kNo, [] { return SetContextAttributesA(LiveContext(), 0, nullptr, 0); });
  scenes["SetContextAttributesW"] =
      Plain(kNo, [] { return SetContextAttributesW(LiveContext(), 0, nullptr, 0); });
  scenes["Ktlsim_k_SetContextAttributesA"] =
      Plain(kNo, [] { return Ktlsim_k_SetContextAttributesA(LiveContext(), 0, nullptr, 0); });
  scenes["Ktlsim_k_SetContextAttributesW"] =
      Plain(kNo, [] { return Ktlsim_k_SetContextAttributesW(LiveContext(), 0, nullptr, 0); });
  scenes["Ktlsim_k_ApplyControlToken"] =
      Plain(kNo, [] { return Ktlsim_k_ApplyControlToken(LiveContext(), nullptr); });
  scenes["AddCredentialsA"] = Plain(kNo, [] {
    return AddCredentialsA(LiveCredential(), nullptr, nullptr, 0, nullptr, nullptr, nullptr,
                           nullptr);
  });
  scenes["AddCredentialsW"] = Plain(kNo, [] {
    return AddCredentialsW(LiveCredential(), nullptr, nullptr, 0, nullptr, nullptr, nullptr,
                           nullptr);
  });
  scenes["Ktlsim_k_AddCredentialsW"] = Plain(kNo, [] {
    return Ktlsim_k_AddCredentialsW(LiveCredential(), nullptr, nullptr, 0, nullptr, nullptr,
                                    nullptr, nullptr);
  });
  scenes["ChangeAccountPasswordA"] = Plain(kNo, [] {
    return ChangeAccountPasswordA(nullptr, nullptr, nullptr, nullptr, nullptr, FALSE, 0, nullptr);
  });
  scenes["ChangeAccountPasswordW"] = Plain(kNo, [] {
    return ChangeAccountPasswordW(nullptr, nullptr, nullptr, nullptr, nullptr, FALSE, 0, nullptr);
  });
}

Scenes AllScenes() {
  Scenes scenes;
  AddPackages(scenes);
  AddCredentials(scenes);
  AddLegs(scenes);
  AddMessagesAndQueries(scenes);
  AddAsyncContexts(scenes);
  AddExtensions(scenes);
  AddUnsupported(scenes);
  AddAuthorizationScenes(scenes);
  AddObjectScenes(scenes);
  AddAuthorityScenes(scenes);
  return scenes;
}

std::string TextOf(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

// The functions that the headers declare as exported.
std::set<std::string> DeclaredFunctions() {
  const std::filesystem::path root = SourceRoot();
  std::vector<std::filesystem::path> headers = {root / "kernel_sim/sspi/kernel_mode.h"};
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(root / "kernel_sim/include")) {
    if (entry.path().extension() == ".h") headers.push_back(entry.path());
  }
  const std::regex declaration(R"(KTLSIM_(?:OUT_)?API\s+[A-Za-z_* \n]*?(?:SEC_ENTRY\s+)?(\w+)\()");
  std::set<std::string> names;
  for (const auto& header : headers) {
    const std::string text = TextOf(header);
    for (std::sregex_iterator at(text.begin(), text.end(), declaration), end; at != end; ++at) {
      if (at->str(1) != "__attribute__") names.insert(at->str(1));
    }
  }
  names.insert("Ktlsim_k_InitSecurityInterfaceW");  // declared under its other name
  return names;
}

TEST(FunctionTableTest, HasEveryExportedFunctionAndNoOther) {
  std::set<std::string> in_table;
  for (const auto& [name, scene] : AllScenes()) in_table.insert(name);
  EXPECT_EQ(in_table, DeclaredFunctions());
}

// The version script names functions one by one, or by their first letters.
TEST(FunctionTableTest, IsWhatTheVersionScriptShows) {
  std::string script = TextOf(SourceRoot() + "/kernel_sim/packaging/ktlsim.map");
  script =
      std::regex_replace(script.substr(0, script.find("local:")), std::regex(R"(/\*[^]*?\*/)"), "");
  const std::regex entry(R"((\w+)(\*?);)");
  std::set<std::string> named;
  std::vector<std::string> prefixes;
  for (std::sregex_iterator at(script.begin(), script.end(), entry), end; at != end; ++at) {
    if (at->str(2).empty()) {
      named.insert(at->str(1));
    } else {
      prefixes.push_back(at->str(1));
    }
  }
  const Scenes scenes = AllScenes();
  for (const std::string& name : named) EXPECT_TRUE(scenes.contains(name)) << name;
  for (const auto& [name, scene] : scenes) {
    const bool shown = named.contains(name) ||
                       std::ranges::any_of(prefixes, [&shown_as = name](const std::string& prefix) {
                         return shown_as.starts_with(prefix);
                       });
    EXPECT_TRUE(shown) << name;
  }
}

class FunctionFaultsTest : public testing::TestWithParam<std::string> {
 private:
  RuntimeWith runtime_{OneProcessor()};
};

TEST_P(FunctionFaultsTest, EveryAllocationMayFail) {
  World::Get();
  PlayWithFaults(GetParam(), AllScenes().at(GetParam()), 8);
}

// A certificate context that the caller has made can be read, and there is no key to it. Without
// memory to read it, it is not called unknown.
TEST(CallersCertificateFaultsTest, IsReadOrThereIsNoMemory) {
  const RuntimeWith runtime(OneProcessor());
  const CERT_CONTEXT own = *FaultAuthority::Get().localhost;
  PCCERT_CONTEXT certificate = &own;
  PlayWithFaults("a caller's certificate", [&certificate](FaultRun& run) {
    SCH_CREDENTIALS credentials{};
    credentials.dwVersion = SCH_CREDENTIALS_VERSION;
    credentials.cCreds = 1;
    credentials.paCred = &certificate;
    char name[] = UNISP_NAME_A;
    CredHandle handle{};
    run.ReturnsOrCanBeRetried(SEC_E_NO_CREDENTIALS, "acquire", [&] {
      return AcquireCredentialsHandleA(nullptr, name, SECPKG_CRED_INBOUND, nullptr, &credentials,
                                       nullptr, nullptr, &handle, nullptr);
    });
  });
}

std::vector<std::string> AllNames() {
  std::vector<std::string> names;
  for (const auto& [name, scene] : AllScenes()) names.push_back(name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(Exported, FunctionFaultsTest, testing::ValuesIn(AllNames()),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace ktlsim::test
