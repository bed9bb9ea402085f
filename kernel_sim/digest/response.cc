#include "kernel_sim/digest/response.h"

#include <algorithm>
#include <optional>

#include "kernel_sim/base/characters.h"
#include "kernel_sim/digest/bindings.h"
#include "kernel_sim/digest/charset.h"

namespace ktlsim::digest {
namespace {

// `value` of the directive `userhash`.
bool ParseUserhash(std::string_view value, bool* hashed) {
  *hashed = EqualsIgnoringCase(value, "true");
  return *hashed || value.empty() || EqualsIgnoringCase(value, "false");
}

Fault ReadUsername(DirectiveList& list, Response* out) {
  bool hashed = false;
  if (!ParseUserhash(list.ValueOf("userhash"), &hashed)) return Fault::kBadValue;
  const Directive* const plain = list.Find("username");
  const Directive* const extended = list.Find("username*");
  if (extended == nullptr) {
    if (plain == nullptr || plain->value.empty()) return Fault::kMissing;
    out->username = plain->value;
    out->username_form = hashed ? UsernameForm::kHashed : UsernameForm::kPlain;
    return Fault::kNone;
  }
  if (plain != nullptr || hashed) return Fault::kConflict;
  char* const room = list.TakeRoom(extended->value.size());
  if (room == nullptr) return Fault::kNoMemory;
  const std::optional<std::string_view> name = DecodeExtended(extended->value, room);
  if (!name.has_value()) return Fault::kBadValue;
  out->username = *name;
  out->username_form = UsernameForm::kExtended;
  return Fault::kNone;
}

// The directives that must be there.
Fault ReadRequired(const DirectiveList& list, Response* out) {
  struct Required {
    std::string_view name;
    std::string_view Response::* value;
  };
  static constexpr Required kRequired[] = {{"nonce", &Response::nonce},
                                           {"uri", &Response::uri},
                                           {"cnonce", &Response::cnonce},
                                           {"nc", &Response::nc}};
  if (list.Find("realm") == nullptr) return Fault::kMissing;
  for (const Required& required : kRequired) {
    const Fault fault = list.Require(required.name, &(out->*required.value));
    if (fault != Fault::kNone) return fault;
  }
  return Fault::kNone;
}

Fault ReadAlgorithmAndHash(const DirectiveList& list, Response* out) {
  out->algorithm = Algorithm::kMd5;
  const Directive* const algorithm = list.Find("algorithm");
  if (algorithm != nullptr && !ParseAlgorithm(algorithm->value, &out->algorithm)) {
    return Fault::kUnknownAlgorithm;
  }
  std::string_view qop;
  std::string_view response;
  Fault fault = list.Require("qop", &qop);
  if (fault == Fault::kNone) fault = list.Require("response", &response);
  if (fault != Fault::kNone) return fault;
  if (!ParseQop(qop, &out->qop) || out->qop == Qop::kAuthConf) return Fault::kUnknownQop;
  return ParseHex(response, HashOf(out->algorithm), &out->response) ? Fault::kNone
                                                                    : Fault::kBadValue;
}

// The cnonce says that they are there; without it nothing protects them, and they count for
// nothing.
Fault ReadBindings(const DirectiveList& list, Response* out) {
  out->service_name = {};
  out->channel = {};
  if (!CoversBindings(out->cnonce)) return Fault::kNone;
  const Directive* const service_name = list.Find("service-name");
  if (service_name == nullptr) return Fault::kMissing;
  std::string_view hashed;
  Fault fault = list.Require("hashed-dirs", &hashed);
  if (fault == Fault::kNone) fault = list.Require("channel-binding", &out->channel);
  if (fault != Fault::kNone) return fault;
  out->service_name = service_name->value;
  const bool digits = std::ranges::all_of(out->channel, IsHexDigit);
  return hashed == kHashedDirectives && out->channel.size() == kChannelDigits && digits
             ? Fault::kNone
             : Fault::kBadValue;
}

}  // namespace

Fault ParseResponse(std::string_view text, Response* out) {
  DirectiveList list;
  Fault fault = list.Parse(WithoutScheme(text), kMessageBytesMax);
  if (fault == Fault::kNone) fault = ReadUsername(list, out);
  if (fault == Fault::kNone) fault = ReadRequired(list, out);
  if (fault == Fault::kNone) fault = ReadAlgorithmAndHash(list, out);
  if (fault == Fault::kNone) fault = ReadBindings(list, out);
  if (fault == Fault::kNone && !ParseNc(out->nc, &out->nonce_count)) fault = Fault::kBadValue;
  if (fault != Fault::kNone) return fault;
  out->realm = list.ValueOf("realm");
  out->opaque = list.ValueOf("opaque");
  out->room = list.ReleaseRoom();
  return Fault::kNone;
}

Written FormatResponse(const Response& response, std::span<char> room) {
  if (response.nonce.empty() || response.cnonce.empty() || response.uri.empty() ||
      response.username.empty() || response.response.empty()) {
    return {Fault::kMissing, 0};
  }
  DirectiveWriter writer(room, ", ");
  if (response.username_form == UsernameForm::kExtended) {
    if (!IsUtf8(response.username)) return {Fault::kBadValue, 0};
    writer.Extended("username", response.username);
  } else {
    writer.Quoted("username", response.username);
  }
  writer.Quoted("realm", response.realm);
  writer.Quoted("nonce", response.nonce);
  writer.Quoted("uri", response.uri);
  writer.Token("algorithm", NameOf(response.algorithm));
  writer.Token("qop", NameOf(response.qop));
  writer.Token("nc", response.nc);
  writer.Quoted("cnonce", response.cnonce);
  if (!response.channel.empty()) {
    writer.Quoted("hashed-dirs", kHashedDirectives);
    writer.Quoted("service-name", response.service_name);
    writer.Quoted("channel-binding", response.channel);
  }
  writer.Quoted("response", HexText(response.response).view());
  if (!response.opaque.empty()) writer.Quoted("opaque", response.opaque);
  if (response.username_form == UsernameForm::kHashed) writer.Token("userhash", "true");
  return writer.Finish();
}

NcText::NcText(std::uint32_t count) { WriteHex(count, digits_); }

bool ParseNc(std::string_view text, std::uint32_t* count) {
  if (text.size() != 8) return false;
  std::uint32_t value = 0;
  for (const char c : text) {
    const int digit = HexValue(c);
    if (digit < 0) return false;
    value = (value << 4) | static_cast<std::uint32_t>(digit);
  }
  *count = value;
  return true;
}

Fault ParseAuthenticationInfo(std::string_view text, Algorithm algorithm, AuthenticationInfo* out) {
  DirectiveList list;
  std::string_view rspauth;
  std::string_view qop;
  Fault fault = list.Parse(text, kMessageBytesMax);
  if (fault == Fault::kNone) fault = list.Require("rspauth", &rspauth);
  if (fault == Fault::kNone) fault = list.Require("qop", &qop);
  if (fault == Fault::kNone) fault = list.Require("cnonce", &out->cnonce);
  if (fault == Fault::kNone) fault = list.Require("nc", &out->nc);
  if (fault != Fault::kNone) return fault;
  std::uint32_t count = 0;
  if (!ParseQop(qop, &out->qop) || out->qop == Qop::kAuthConf) return Fault::kUnknownQop;
  if (!ParseHex(rspauth, HashOf(algorithm), &out->rspauth) || !ParseNc(out->nc, &count)) {
    return Fault::kBadValue;
  }
  out->nextnonce = list.ValueOf("nextnonce");
  out->room = list.ReleaseRoom();
  return Fault::kNone;
}

Written FormatAuthenticationInfo(const AuthenticationInfo& info, std::span<char> room) {
  if (info.rspauth.empty() || info.cnonce.empty() || info.nc.empty()) return {Fault::kMissing, 0};
  DirectiveWriter writer(room, ", ");
  writer.Quoted("rspauth", HexText(info.rspauth).view());
  writer.Token("qop", NameOf(info.qop));
  writer.Token("nc", info.nc);
  writer.Quoted("cnonce", info.cnonce);
  if (!info.nextnonce.empty()) writer.Quoted("nextnonce", info.nextnonce);
  return writer.Finish();
}

}  // namespace ktlsim::digest
