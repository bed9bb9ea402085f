// Two ends of a TLS connection whose every call may run out of memory, through each form that the
// public API has: strings in two widths and counted ones, synchronous or with a callback.
#pragma once

#include <ktlsim/sspi_ext.h>
#include <schannel.h>
#include <sspi.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kernel_sim/sspi/kernel_mode.h"
#include "tests/faults/fault_run.h"
#include "tests/support/sspi_async.h"
#include "tests/support/sspi_pair.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/test_authority.h"

namespace ktlsim::test {

enum class Form : std::uint8_t { kA, kW, kKernel, kAsyncA, kAsyncW, kAsyncKernel };

constexpr bool IsAsync(Form form) {
  return form == Form::kAsyncA || form == Form::kAsyncW || form == Form::kAsyncKernel;
}
constexpr const char* NameOf(Form form) {
  switch (form) {
    case Form::kA:
      return "A";
    case Form::kW:
      return "W";
    case Form::kKernel:
      return "kernel";
    case Form::kAsyncA:
      return "asynchronous A";
    case Form::kAsyncW:
      return "asynchronous W";
    case Form::kAsyncKernel:
      return "asynchronous kernel";
  }
  return "?";
}

// The same text in every form that a function may want.
struct Texts {
  explicit Texts(const char* text) : narrow(text), wide(narrow.begin(), narrow.end()) {
    counted.Buffer = wide.data();
    counted.Length = static_cast<USHORT>(wide.size() * sizeof(SEC_WCHAR));
    counted.MaximumLength = counted.Length;
  }
  Texts(const Texts&) = delete;
  Texts& operator=(const Texts&) = delete;

  std::string narrow;
  std::basic_string<SEC_WCHAR> wide;
  SECURITY_STRING counted{};
};

// An async context that counts its calls: there must be as many callbacks as acceptances.
class CountedAsync {
 public:
  explicit CountedAsync(ULONG notify_mode = KTLSIM_NOTIFY_POOL) : call_(notify_mode) {}
  CountedAsync(const CountedAsync&) = delete;
  CountedAsync& operator=(const CountedAsync&) = delete;
  ~CountedAsync() { EXPECT_EQ(call_.callbacks(), accepted_) << "one callback for each accepted"; }

  // Calls `submit(async context)`; returns the outcome, or the status of the refusal.
  template <typename Submit>
  SECURITY_STATUS Run(Submit submit) {
    const SECURITY_STATUS status = submit(call_.get());
    if (status != SEC_E_OK) {
      return status;
    }
    ++accepted_;
    return call_.Finish();
  }

 private:
  AsyncCall call_;
  int accepted_ = 0;
};

// Certificates of an authority of the test's own, made once.
class FaultAuthority {
 public:
  static FaultAuthority& Get() {
    static auto* const authority = new FaultAuthority();
    return *authority;
  }

  // Trusted: for "localhost"; for another name; out of date. And one of an unknown root.
  PCCERT_CONTEXT localhost = nullptr;
  PCCERT_CONTEXT other_name = nullptr;
  PCCERT_CONTEXT expired = nullptr;
  PCCERT_CONTEXT untrusted = nullptr;
  std::string chain_pem;
  std::string key_pem;
  std::string trust_path;
  std::string chain_path;
  std::string key_path;

 private:
  FaultAuthority() {
    const IssuedCertificate root = IssuedCertificate::Root("faults root");
    const IssuedCertificate stranger = IssuedCertificate::Root("stranger");
    const IssuedCertificate between = root.Authority("between");
    const auto load = [](const std::string& chain, const IssuedCertificate& leaf) {
      PCCERT_CONTEXT context = nullptr;
      EXPECT_EQ(KtlsimLoadCertificatePem(chain.c_str(), leaf.KeyPem().c_str(), &context), SEC_E_OK)
          << KtlsimLastErrorText();
      return context;
    };
    const IssuedCertificate good = between.Leaf("localhost");
    chain_pem = good.Pem() + between.Pem();
    key_pem = good.KeyPem();
    localhost = load(chain_pem, good);
    const IssuedCertificate other = root.Leaf("other.example");
    other_name = load(other.Pem(), other);
    // Its issuer is out of date, not the leaf: an acquisition already refuses a leaf that is out of
    // date.
    const IssuedCertificate old = root.Authority("old", {.from_s = -7200, .until_s = -3600});
    const IssuedCertificate late = old.Leaf("localhost");
    expired = load(late.Pem() + old.Pem(), late);
    const IssuedCertificate unknown = stranger.Leaf("localhost");
    untrusted = load(unknown.Pem(), unknown);
    trust_path = folder_.Write("trust.pem", root.Pem());
    chain_path = folder_.Write("chain.pem", chain_pem);
    key_path = folder_.Write("key.pem", key_pem);
  }

  const TemporaryFolder folder_;
};

// A credential acquired without faults.
class FaultCredential {
 public:
  struct Wanted {
    ULONG use = SECPKG_CRED_INBOUND;
    ULONG disabled = 0;  // SP_PROT_*
    ULONG flags = 0;
    PCCERT_CONTEXT certificate = nullptr;
    bool trust = false;  // the authority of the test, and no other
    ULONG client_auth = KTLSIM_CLIENT_AUTH_NONE;
  };
  explicit FaultCredential(const Wanted& wanted) {
    TLS_PARAMETERS parameters{};
    parameters.grbitDisabledProtocols = wanted.disabled;
    SCH_CREDENTIALS credentials{};
    credentials.dwVersion = SCH_CREDENTIALS_VERSION;
    credentials.dwFlags = wanted.flags;
    credentials.cTlsParameters = 1;
    credentials.pTlsParameters = &parameters;
    PCCERT_CONTEXT certificate = wanted.certificate;
    credentials.cCreds = certificate != nullptr ? 1 : 0;
    credentials.paCred = &certificate;
    char name[] = UNISP_NAME_A;
    EXPECT_EQ(AcquireCredentialsHandleA(nullptr, name, wanted.use, nullptr, &credentials, nullptr,
                                        nullptr, &handle_, nullptr),
              SEC_E_OK)
        << KtlsimLastErrorText();
    const char* path = FaultAuthority::Get().trust_path.c_str();
    if (wanted.trust) Set(KTLSIM_ATTR_TRUST, KtlsimCred_Trust{path});
    if (wanted.client_auth != KTLSIM_CLIENT_AUTH_NONE) {
      Set(KTLSIM_ATTR_CLIENT_AUTH, KtlsimCred_ClientAuth{wanted.client_auth, path});
    }
  }
  FaultCredential(const FaultCredential&) = delete;
  FaultCredential& operator=(const FaultCredential&) = delete;
  ~FaultCredential() { EXPECT_EQ(FreeCredentialsHandle(&handle_), SEC_E_OK); }

  template <typename Value>
  void Set(ULONG attribute, Value value) {
    EXPECT_EQ(SetCredentialsAttributesA(&handle_, attribute, &value, sizeof(value)), SEC_E_OK)
        << KtlsimLastErrorText();
  }
  PCredHandle get() { return &handle_; }

 private:
  CredHandle handle_{};
};

// One end. Its context is deleted without faults.
class FaultEnd {
 public:
  FaultEnd(FaultRun& run, bool server, Form form, PCredHandle credential)
      : run_(run), server_(server), form_(form), credential_(credential) {
    SecInvalidateHandle(&context);
    if (IsAsync(form)) async_.emplace(server ? KTLSIM_NOTIFY_ON_PROCESSOR : KTLSIM_NOTIFY_POOL);
  }
  FaultEnd(const FaultEnd&) = delete;
  FaultEnd& operator=(const FaultEnd&) = delete;
  ~FaultEnd() {
    if (SecIsValidHandle(&context)) {
      EXPECT_EQ(DeleteSecurityContext(&context), SEC_E_OK);
    }
  }

  bool server() const { return server_; }
  bool established() const { return established_; }
  SECURITY_STATUS status() const { return status_; }

  // One leg with the whole inbox; its token goes to `peer`.
  SECURITY_STATUS Leg(FaultEnd& peer) {
    const bool first = !SecIsValidHandle(&context);
    Bytes input = inbox;
    Bytes output(32768);
    SecBuffer in[2] = {{static_cast<ULONG>(input.size()), SECBUFFER_TOKEN, input.data()},
                       {0, SECBUFFER_EMPTY, nullptr}};
    SecBufferDesc in_desc = {SECBUFFER_VERSION, 2, in};
    SecBuffer out = {static_cast<ULONG>(output.size()), SECBUFFER_TOKEN, output.data()};
    SecBufferDesc out_desc = {SECBUFFER_VERSION, 1, &out};
    Texts target("localhost");
    status_ = run_.Status([&] { return Call(first, target, &in_desc, &out_desc); });
    if (status_ == SEC_E_OK || status_ == SEC_I_CONTINUE_NEEDED) {
      const ULONG extra = in[1].BufferType == SECBUFFER_EXTRA ? in[1].cbBuffer : 0;
      inbox.assign(input.end() - extra, input.end());
      Append(peer.inbox, Bytes(output.begin(), output.begin() + out.cbBuffer));
    }
    established_ = established_ || status_ == SEC_E_OK;
    return status_;
  }

  CtxtHandle context;
  Bytes inbox;
  ULONG more_flags = 0;

 private:
  SECURITY_STATUS Call(bool first, Texts& target, PSecBufferDesc in, PSecBufferDesc out) {
    if (!IsAsync(form_)) return CallNow(first, target, in, out);
    return async_->Run(
        [&](SspiAsyncContext* async) { return CallAsync(async, first, target, in, out); });
  }
  SECURITY_STATUS CallNow(bool first, Texts& target, PSecBufferDesc in, PSecBufferDesc out) {
    PCtxtHandle old = first ? nullptr : &context;
    if (server_) {
      return AcceptSecurityContext(credential_, old, in, Flags(), 0, &context, out, &attributes_,
                                   nullptr);
    }
    if (form_ == Form::kW) {
      return InitializeSecurityContextW(credential_, old, first ? target.wide.data() : nullptr,
                                        Flags(), 0, 0, in, 0, &context, out, &attributes_, nullptr);
    }
    if (form_ == Form::kKernel) {
      return Ktlsim_k_InitializeSecurityContextW(credential_, old,
                                                 first ? &target.counted : nullptr, Flags(), 0, 0,
                                                 in, 0, &context, out, &attributes_, nullptr);
    }
    return InitializeSecurityContextA(credential_, old, first ? target.narrow.data() : nullptr,
                                      Flags(), 0, 0, in, 0, &context, out, &attributes_, nullptr);
  }
  SECURITY_STATUS CallAsync(SspiAsyncContext* async, bool first, Texts& target, PSecBufferDesc in,
                            PSecBufferDesc out) {
    PCtxtHandle old = first ? nullptr : &context;
    if (server_) {
      return SspiAcceptSecurityContextAsync(async, credential_, old, in, Flags(), 0, &context, out,
                                            &attributes_, nullptr);
    }
    if (form_ == Form::kAsyncW) {
      return SspiInitializeSecurityContextAsyncW(async, credential_, old,
                                                 first ? target.wide.data() : nullptr, Flags(), 0,
                                                 0, in, 0, &context, out, &attributes_, nullptr);
    }
    if (form_ == Form::kAsyncKernel) {
      return Ktlsim_k_SspiInitializeSecurityContextAsyncW(
          async, credential_, old, first ? &target.counted : nullptr, Flags(), 0, 0, in, 0,
          &context, out, &attributes_, nullptr);
    }
    return SspiInitializeSecurityContextAsyncA(async, credential_, old,
                                               first ? target.narrow.data() : nullptr, Flags(), 0,
                                               0, in, 0, &context, out, &attributes_, nullptr);
  }
  ULONG Flags() const {
    return more_flags |
           (server_ ? ASC_REQ_EXTENDED_ERROR | ASC_REQ_STREAM | ASC_REQ_SESSION_TICKET
                    : ISC_REQ_EXTENDED_ERROR | ISC_REQ_STREAM | ISC_REQ_USE_SUPPLIED_CREDS);
  }

  FaultRun& run_;
  const bool server_;
  const Form form_;
  const PCredHandle credential_;
  std::optional<CountedAsync> async_;
  ULONG attributes_ = 0;
  SECURITY_STATUS status_ = SEC_I_CONTINUE_NEEDED;
  bool established_ = false;
};

// One processor: a number names the same allocation in every run.
inline KtlsimOptions OneProcessor() {
  KtlsimOptions options{};
  options.cProcessors = 1;
  return options;
}

// Which end refuses the other when nothing fails: `refusal` is SEC_E_OK for a handshake that
// succeeds.
struct Verdict {
  bool of_server = false;
  SECURITY_STATUS refusal = SEC_E_OK;
};

// Drives both until they are done or one has failed; true: both are established. A side that must
// refuse never becomes established, whatever fails.
inline bool ShakeHands(FaultRun& run, FaultEnd& client, FaultEnd& server, Verdict verdict = {}) {
  FaultEnd* turn = &client;
  for (int round = 0; round < 12; ++round) {
    FaultEnd& peer = turn == &client ? server : client;
    if (!turn->established() && (round == 0 || !turn->inbox.empty())) {
      const SECURITY_STATUS status = turn->Leg(peer);
      const bool refuses = verdict.refusal != SEC_E_OK && turn->server() == verdict.of_server;
      const bool goes_on = status == SEC_I_CONTINUE_NEEDED || (status == SEC_E_OK && !refuses);
      if (!goes_on) {
        if (refuses && status == SEC_E_OK)
          run.Report("let a peer in that is to be refused", status);
        run.Judge(refuses ? verdict.refusal : SEC_E_OK, turn->server() ? "server" : "client",
                  status);
        return false;
      }
    }
    if (client.established() && server.established()) return true;
    turn = &peer;
  }
  run.Report("both ends wait for each other", SEC_E_INTERNAL_ERROR);
  return false;
}

}  // namespace ktlsim::test
