// Exceptions of the library as Python's, by kind.
#include <algorithm>
#include <cctype>
#include <filesystem>
#include <system_error>

#include "bindings.h"
#include "retort/core/error.h"

namespace retort::python {
namespace {

struct Kinds {
  py::object config, data, resource, state;
};

/// Lives as long as the process: handlers may run while the interpreter ends.
Kinds& kinds() {
  static auto* all = new Kinds;
  return *all;
}

py::object new_kind(py::module_& module, const char* name, const char* doc,
                    const py::tuple& bases) {
  const std::string whole = std::string("retort.") + name;
  const auto kind = py::reinterpret_steal<py::object>(
      PyErr_NewExceptionWithDoc(whole.c_str(), doc, bases.ptr(), nullptr));
  module.attr(name) = kind;
  return kind;
}

const py::object& kind_of(const Error& error) {
  switch (error.exit_code()) {
    case 2:
      return kinds().config;
    case 3:
      return kinds().data;
    case 4:
      return kinds().resource;
    default:
      return kinds().state;
  }
}

void translate(std::exception_ptr thrown) {
  try {
    if (thrown) std::rethrow_exception(thrown);
  } catch (const Error& error) {
    py::set_error(kind_of(error), in_python(error.what()).c_str());
  } catch (const std::filesystem::filesystem_error& error) {
    const py::object value = py::reinterpret_borrow<py::object>(PyExc_OSError)(
        error.code().value(), error.code().message(), error.path1().string());
    PyErr_SetObject(PyExc_OSError, value.ptr());
  }
}

void replace_all(std::string& text, const std::string& from, const std::string& to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

}  // namespace

std::string in_python(const std::string& message) {
  std::string text;
  const auto letter = [&](size_t i) {
    return i < message.size() && (std::islower(static_cast<unsigned char>(message[i])) != 0);
  };
  for (size_t i = 0; i < message.size(); ++i) {
    const bool flag =
        message.compare(i, 2, "--") == 0 && letter(i + 2) && (i == 0 || message[i - 1] != '-');
    if (!flag) {
      text += message[i];
      continue;
    }
    for (i += 2; letter(i) || (message[i] == '-' && letter(i + 1)); ++i)
      text += message[i] == '-' ? '_' : message[i];
    --i;
  }
  replace_all(text, "reading the command line of ", "reading the arguments of ");
  replace_all(text, "'retort eval'", "'retort.evaluate'");
  for (const char* name : {"distill", "experts", "squeeze", "relabel", "reproduce", "import"})
    replace_all(text, std::string("'retort ") + name + "'", std::string("'retort.") + name + "'");
  return text;
}

void bind_errors(py::module_& module) {
  const auto builtin = [](PyObject* kind) { return py::reinterpret_borrow<py::object>(kind); };
  const py::object base =
      new_kind(module, "Error", "Base of all that retort refuses; the text says what to do.",
               py::make_tuple(builtin(PyExc_Exception)));
  kinds().config =
      new_kind(module, "ConfigError", "An option, or a combination of them, cannot be.",
               py::make_tuple(base, builtin(PyExc_ValueError)));
  kinds().data = new_kind(module, "DataError",
                          "Data or a file are missing, damaged or not what they should be.",
                          py::make_tuple(base, builtin(PyExc_ValueError)));
  kinds().resource =
      new_kind(module, "ResourceError", "A device, memory, disk or an optional library is missing.",
               py::make_tuple(base, builtin(PyExc_RuntimeError)));
  kinds().state =
      new_kind(module, "StateError",
               "A run folder or a file does not fit what was asked of it, or a loss is not finite.",
               py::make_tuple(base, builtin(PyExc_RuntimeError)));
  py::register_exception_translator(translate);
}

}  // namespace retort::python
