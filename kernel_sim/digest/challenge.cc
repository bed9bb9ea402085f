#include "kernel_sim/digest/challenge.h"

#include <algorithm>
#include <utility>

#include "kernel_sim/base/characters.h"
#include "kernel_sim/digest/lexer.h"
#include "kernel_sim/digest/qop_list.h"

namespace ktlsim::digest {
namespace {

bool IsTrue(std::string_view value) { return EqualsIgnoringCase(value, "true"); }

bool IsToken68Character(char c) {
  return IsDigit(c) || IsLetter(c) || std::string_view("-._~+/").find(c) != std::string_view::npos;
}

// A token68 (RFC 9110 11.2) as the whole of what a scheme has. False: nothing was taken.
bool TakeToken68(Lexer& lexer, std::string_view text) {
  const std::size_t start = lexer.at();
  std::size_t end = start;
  while (end < text.size() && IsToken68Character(text[end])) ++end;
  if (end == start) return false;
  while (end < text.size() && text[end] == '=') ++end;
  lexer.ReturnTo(end);
  lexer.SkipSpace();
  if (lexer.AtEnd() || lexer.Peek() == ',') return true;
  lexer.ReturnTo(start);
  return false;
}

// name=value. False: the grammar has nothing such here, for `fault`.
bool TakeParameter(Lexer& lexer, Fault* fault) {
  *fault = Fault::kSyntax;
  if (lexer.TakeToken().empty()) return false;
  lexer.SkipSpace();
  if (!lexer.Take('=')) return false;
  lexer.SkipSpace();
  if (!lexer.Take('"')) return !lexer.TakeToken().empty();
  std::string_view raw;
  std::size_t escapes = 0;
  *fault = Fault::kUnterminated;
  return lexer.TakeQuoted(&raw, &escapes);
}

// Whether the next element is a parameter, and not the scheme of another challenge.
bool IsParameterNext(Lexer& lexer) {
  const std::size_t start = lexer.at();
  lexer.TakeToken();
  lexer.SkipSpace();
  const bool parameter = lexer.Peek() == '=';
  lexer.ReturnTo(start);
  return parameter;
}

}  // namespace

Fault ParseChallenge(std::string_view text, Challenge* out) {
  DirectiveList list;
  Fault fault = list.Parse(WithoutScheme(text), kMessageBytesMax);
  if (fault == Fault::kNone && list.Find("realm") == nullptr) fault = Fault::kMissing;
  if (fault == Fault::kNone) fault = list.Require("nonce", &out->nonce);
  if (fault != Fault::kNone) return fault;
  out->algorithm = Algorithm::kMd5;
  const Directive* const algorithm = list.Find("algorithm");
  if (algorithm != nullptr && !ParseAlgorithm(algorithm->value, &out->algorithm)) {
    return Fault::kUnknownAlgorithm;
  }
  out->qops = ParseQops(list.ValueOf("qop"), {Qop::kAuth, Qop::kAuthInt});
  if (out->qops.empty()) return Fault::kUnknownQop;
  out->realm = list.ValueOf("realm");
  out->domain = list.ValueOf("domain");
  out->opaque = list.ValueOf("opaque");
  out->stale = IsTrue(list.ValueOf("stale"));
  out->utf8 = EqualsIgnoringCase(list.ValueOf("charset"), "UTF-8");
  out->userhash = IsTrue(list.ValueOf("userhash"));
  out->room = list.ReleaseRoom();
  return Fault::kNone;
}

Written FormatChallenge(const Challenge& challenge, std::span<char> room) {
  if (challenge.nonce.empty() || challenge.qops.empty()) return {Fault::kMissing, 0};
  DirectiveWriter writer(room, ", ");
  writer.Quoted("realm", challenge.realm);
  if (!challenge.domain.empty()) writer.Quoted("domain", challenge.domain);
  writer.Quoted("qop", QopList(challenge.qops).view());
  writer.Token("algorithm", NameOf(challenge.algorithm));
  writer.Quoted("nonce", challenge.nonce);
  if (!challenge.opaque.empty()) writer.Quoted("opaque", challenge.opaque);
  if (challenge.utf8) writer.Token("charset", "UTF-8");
  if (challenge.userhash) writer.Token("userhash", "true");
  if (challenge.stale) writer.Token("stale", "true");
  return writer.Finish();
}

ChallengeListReader::Next ChallengeListReader::Fail(Fault fault) {
  fault_ = fault;
  header_ = {};
  return Next::kFault;
}

ChallengeListReader::Next ChallengeListReader::Read(SchemeChallenge* out) {
  if (fault_ != Fault::kNone) return Next::kFault;
  if (!std::exchange(looked_, true)) {
    if (header_.size() > kMessageBytesMax) return Fail(Fault::kTooLong);
    if (std::ranges::any_of(header_, IsControl)) return Fail(Fault::kControlByte);
  }
  Lexer lexer(header_);
  lexer.SkipSpaceAndCommas();
  if (lexer.AtEnd()) return Next::kEnd;
  out->scheme = lexer.TakeToken();
  if (out->scheme.empty()) return Fail(Fault::kSyntax);
  const bool space = lexer.SkipSpace();
  const std::size_t start = lexer.at();
  std::size_t end = start;
  if (!lexer.AtEnd() && lexer.Peek() != ',') {
    if (!space) return Fail(Fault::kSyntax);
    if (TakeToken68(lexer, header_)) {
      end = lexer.at();
    } else {
      do {
        Fault fault = Fault::kNone;
        if (!TakeParameter(lexer, &fault)) return Fail(fault);
        end = lexer.at();
        lexer.SkipSpace();
        if (!lexer.AtEnd() && lexer.Peek() != ',') return Fail(Fault::kSyntax);
        lexer.SkipSpaceAndCommas();
      } while (!lexer.AtEnd() && IsParameterNext(lexer));
    }
  }
  out->parameters = header_.substr(start, end - start);
  header_.remove_prefix(lexer.at());
  return Next::kChallenge;
}

}  // namespace ktlsim::digest
