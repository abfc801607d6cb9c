// The module retort._core: the library and the program's commands for the package around it.
#include "bindings.h"

PYBIND11_MODULE(_core, module) {
  using namespace retort::python;
  module.doc() = "The C++ side of retort; the package retort is what is meant to be used.";
  bind_errors(module);
  bind_data(module);
  bind_sets(module);
  bind_runs(module);
  bind_draws(module);
  bind_network(module);
  bind_unroll(module);
  bind_objective(module);
  bind_learner(module);
}
