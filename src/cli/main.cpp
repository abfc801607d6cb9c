#include "cli/program.h"

int main(int argc, char** argv) {
  return retort::cli::run_program(argc, argv);
}
