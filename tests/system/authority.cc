#include "tests/system/authority.h"

#include <gtest/gtest.h>

namespace ktlsim::system_tests {
namespace {

void Make(const std::string& name, const Authority::Files& files, ChildProcess::Arguments more) {
  ChildProcess::Arguments all = {"openssl",
                                 "req",
                                 "-x509",
                                 "-newkey",
                                 "ec",
                                 "-pkeyopt",
                                 "ec_paramgen_curve:P-256",
                                 "-nodes",
                                 "-days",
                                 "2",
                                 "-subj",
                                 "/CN=" + name,
                                 "-keyout",
                                 files.key,
                                 "-out",
                                 files.certificate};
  all.insert(all.end(), more.begin(), more.end());
  const Finished made = RunProgram(all);
  EXPECT_EQ(made.code, 0) << made.output;
}

}  // namespace

Authority::Authority(const std::string& name) : own_(Place("authority")) { Make(name, own_, {}); }

Authority::Files Authority::Place(const std::string& name) const {
  return {folder_.File(name + ".pem"), folder_.File(name + ".key")};
}

Authority::Files Authority::Issue(const std::string& name) {
  const Files files = Place(name);
  Make(name, files,
       {"-CA", own_.certificate, "-CAkey", own_.key, "-addext", "subjectAltName=DNS:" + name,
        "-addext", "basicConstraints=critical,CA:FALSE"});
  return files;
}

}  // namespace ktlsim::system_tests
