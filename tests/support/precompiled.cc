// This program does nothing: it exists for its precompiled header (tests/CMakeLists.txt).

int main() { return 0; }
