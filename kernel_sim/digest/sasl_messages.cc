#include "kernel_sim/digest/sasl_messages.h"

#include <system_error>

#include "kernel_sim/base/characters.h"
#include "kernel_sim/digest/qop_list.h"
#include "kernel_sim/digest/response.h"

namespace ktlsim::digest {
namespace {

constexpr std::array<std::string_view, kSaslCiphers.size()> kCipherNames = {"rc4", "3des", "rc4-56",
                                                                            "rc4-40", "des"};

constexpr std::string_view kAlgorithmName = "md5-sess";

// `maxbuf`, `charset` and `stale`, which both directions or one of them may have.
Fault ReadMaxbuf(const DirectiveList& list, std::uint32_t* maxbuf) {
  *maxbuf = kMaxbufDefault;
  const Directive* const found = list.Find("maxbuf");
  if (found == nullptr) return Fault::kNone;
  const bool read = ReadNumber(found->value, maxbuf) == std::errc();
  return read && *maxbuf >= kMaxbufMin && *maxbuf <= kMaxbufMax ? Fault::kNone : Fault::kBadValue;
}

Fault ReadCharset(const DirectiveList& list, bool* utf8) {
  const Directive* const found = list.Find("charset");
  *utf8 = found != nullptr && EqualsIgnoringCase(found->value, "utf-8");
  return found == nullptr || *utf8 ? Fault::kNone : Fault::kBadValue;
}

Fault ReadRealms(const DirectiveList& list, SaslChallenge* out) {
  out->realm_count = 0;
  for (const Directive& directive : list.all()) {
    if (!EqualsIgnoringCase(directive.name, "realm")) continue;
    if (out->realm_count == kSaslRealmsMax) return Fault::kTooMany;
    out->realms.at(out->realm_count++) = directive.value;
  }
  return Fault::kNone;
}

Fault ReadQopsAndCiphers(const DirectiveList& list, SaslChallenge* out) {
  const Directive* const qop = list.Find("qop");
  QopSet offered = {Qop::kAuth};
  if (qop != nullptr) {
    offered = ParseQops(qop->value, {Qop::kAuth, Qop::kAuthInt, Qop::kAuthConf});
  }
  out->ciphers = SaslCipherSet();
  const Directive* const ciphers = list.Find("cipher");
  if (offered.Has(Qop::kAuthConf) && ciphers == nullptr) return Fault::kMissing;
  if (ciphers != nullptr) {
    ForEachElement(ciphers->value, [&](std::string_view name) {
      SaslCipher cipher = SaslCipher::kDes;
      if (ParseSaslCipher(name, &cipher)) out->ciphers.Add(cipher);
    });
  }
  out->qops = QopSet();
  for (const Qop one : {Qop::kAuth, Qop::kAuthInt, Qop::kAuthConf}) {
    if (offered.Has(one) && (one != Qop::kAuthConf || !out->ciphers.empty())) out->qops.Add(one);
  }
  return out->qops.empty() ? Fault::kUnknownQop : Fault::kNone;
}

// Text of all of `ciphers`, the strongest first.
class CipherList {
 public:
  explicit CipherList(SaslCipherSet ciphers) {
    for (const SaslCipher cipher : kSaslCiphers) {
      if (!ciphers.Has(cipher)) continue;
      if (size_ != 0) text_.at(size_++) = ',';
      for (const char c : NameOf(cipher)) text_.at(size_++) = c;
    }
  }
  std::string_view view() const { return {text_.data(), size_}; }

 private:
  std::array<char, 32> text_{};
  std::size_t size_ = 0;
};

// A number in decimal digits.
class Decimal {
 public:
  explicit Decimal(std::uint32_t value)
      : end_(std::to_chars(digits_.data(), digits_.data() + digits_.size(), value).ptr) {}
  std::string_view view() const {
    return {digits_.data(), static_cast<std::size_t>(end_ - digits_.data())};
  }

 private:
  std::array<char, 10> digits_{};
  const char* const end_;
};

Written Bounded(Written written, std::size_t bytes_max) {
  if (written.fault == Fault::kNone && written.bytes > bytes_max) written.fault = Fault::kTooLong;
  return written;
}

Fault ReadRequired(const DirectiveList& list, SaslResponse* out) {
  struct Required {
    std::string_view name;
    std::string_view SaslResponse::* value;
  };
  static constexpr Required kRequired[] = {{"username", &SaslResponse::username},
                                           {"nonce", &SaslResponse::nonce},
                                           {"cnonce", &SaslResponse::cnonce},
                                           {"nc", &SaslResponse::nc},
                                           {"digest-uri", &SaslResponse::digest_uri}};
  for (const Required& required : kRequired) {
    const Fault fault = list.Require(required.name, &(out->*required.value));
    if (fault != Fault::kNone) return fault;
  }
  return ParseNc(out->nc, &out->nonce_count) ? Fault::kNone : Fault::kBadValue;
}

Fault ReadChoice(const DirectiveList& list, SaslResponse* out) {
  out->qop = Qop::kAuth;
  const Directive* const qop = list.Find("qop");
  if (qop != nullptr && !ParseQop(qop->value, &out->qop)) return Fault::kUnknownQop;
  const Directive* const cipher = list.Find("cipher");
  if (cipher == nullptr) return out->qop == Qop::kAuthConf ? Fault::kMissing : Fault::kNone;
  return ParseSaslCipher(cipher->value, &out->cipher) ? Fault::kNone : Fault::kBadValue;
}

}  // namespace

std::string_view NameOf(SaslCipher cipher) {
  return kCipherNames.at(static_cast<std::size_t>(cipher));
}

bool ParseSaslCipher(std::string_view name, SaslCipher* out) {
  for (const SaslCipher cipher : kSaslCiphers) {
    if (!EqualsIgnoringCase(name, NameOf(cipher))) continue;
    *out = cipher;
    return true;
  }
  return false;
}

Fault ParseSaslChallenge(std::string_view text, SaslChallenge* out) {
  DirectiveList list;
  std::string_view algorithm;
  Fault fault = list.Parse(text, kSaslChallengeBytesMax, "realm");
  if (fault == Fault::kNone) fault = list.Require("nonce", &out->nonce);
  if (fault == Fault::kNone) fault = list.Require("algorithm", &algorithm);
  if (fault == Fault::kNone && !EqualsIgnoringCase(algorithm, kAlgorithmName)) {
    fault = Fault::kUnknownAlgorithm;
  }
  if (fault == Fault::kNone) fault = ReadRealms(list, out);
  if (fault == Fault::kNone) fault = ReadQopsAndCiphers(list, out);
  if (fault == Fault::kNone) fault = ReadMaxbuf(list, &out->maxbuf);
  if (fault == Fault::kNone) fault = ReadCharset(list, &out->utf8);
  if (fault != Fault::kNone) return fault;
  out->opaque = list.ValueOf("opaque");
  out->stale = EqualsIgnoringCase(list.ValueOf("stale"), "true");
  out->room = list.ReleaseRoom();
  return Fault::kNone;
}

Written FormatSaslChallenge(const SaslChallenge& challenge, std::span<char> room) {
  const bool conf = challenge.qops.Has(Qop::kAuthConf);
  if (challenge.nonce.empty() || challenge.qops.empty() || (conf && challenge.ciphers.empty())) {
    return {Fault::kMissing, 0};
  }
  DirectiveWriter writer(room, ",");
  for (const std::string_view realm : challenge.all_realms()) writer.Quoted("realm", realm);
  writer.Quoted("nonce", challenge.nonce);
  writer.Quoted("qop", QopList(challenge.qops).view());
  if (conf) writer.Quoted("cipher", CipherList(challenge.ciphers).view());
  if (challenge.maxbuf != kMaxbufDefault) writer.Token("maxbuf", Decimal(challenge.maxbuf).view());
  writer.Token("algorithm", kAlgorithmName);
  if (challenge.utf8) writer.Token("charset", "utf-8");
  if (challenge.stale) writer.Token("stale", "true");
  if (!challenge.opaque.empty()) writer.Quoted("opaque", challenge.opaque);
  return Bounded(writer.Finish(), kSaslChallengeBytesMax);
}

Fault ParseSaslResponse(std::string_view text, SaslResponse* out) {
  DirectiveList list;
  std::string_view response;
  Fault fault = list.Parse(text, kSaslResponseBytesMax);
  if (fault == Fault::kNone) fault = ReadRequired(list, out);
  if (fault == Fault::kNone) fault = ReadChoice(list, out);
  if (fault == Fault::kNone) fault = ReadMaxbuf(list, &out->maxbuf);
  if (fault == Fault::kNone) fault = ReadCharset(list, &out->utf8);
  if (fault == Fault::kNone) fault = list.Require("response", &response);
  if (fault != Fault::kNone) return fault;
  if (!ParseHex(response, HashId::kMd5, &out->response)) return Fault::kBadValue;
  out->realm = list.ValueOf("realm");
  out->authzid = list.ValueOf("authzid");
  out->opaque = list.ValueOf("opaque");
  out->room = list.ReleaseRoom();
  return Fault::kNone;
}

Written FormatSaslResponse(const SaslResponse& response, std::span<char> room) {
  if (response.username.empty() || response.nonce.empty() || response.cnonce.empty() ||
      response.digest_uri.empty() || response.response.empty()) {
    return {Fault::kMissing, 0};
  }
  DirectiveWriter writer(room, ",");
  if (response.utf8) writer.Token("charset", "utf-8");
  writer.Quoted("username", response.username);
  if (!response.realm.empty()) writer.Quoted("realm", response.realm);
  writer.Quoted("nonce", response.nonce);
  writer.Token("nc", response.nc);
  writer.Quoted("cnonce", response.cnonce);
  writer.Quoted("digest-uri", response.digest_uri);
  writer.Token("response", HexText(response.response).view());
  writer.Token("qop", NameOf(response.qop));
  if (response.qop == Qop::kAuthConf) writer.Quoted("cipher", NameOf(response.cipher));
  if (response.maxbuf != kMaxbufDefault) writer.Token("maxbuf", Decimal(response.maxbuf).view());
  if (!response.authzid.empty()) writer.Quoted("authzid", response.authzid);
  if (!response.opaque.empty()) writer.Quoted("opaque", response.opaque);
  return Bounded(writer.Finish(), kSaslResponseBytesMax);
}

Fault ParseSaslRspauth(std::string_view text, HashValue* rspauth) {
  DirectiveList list;
  std::string_view digits;
  Fault fault = list.Parse(text, kSaslChallengeBytesMax);
  if (fault == Fault::kNone) fault = list.Require("rspauth", &digits);
  if (fault != Fault::kNone) return fault;
  return ParseHex(digits, HashId::kMd5, rspauth) ? Fault::kNone : Fault::kBadValue;
}

Written FormatSaslRspauth(const HashValue& rspauth, std::span<char> room) {
  if (rspauth.empty()) return {Fault::kMissing, 0};
  DirectiveWriter writer(room, ",");
  writer.Token("rspauth", HexText(rspauth).view());
  return writer.Finish();
}

}  // namespace ktlsim::digest
