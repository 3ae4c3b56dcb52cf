# truevec_module(NAME [DEPS module...] [LINK library...] [TEST_DEPS module...])
# One static library per src/ folder: every *.cc but *_test.cc; and one test program NAME_test from the
# *_test.cc files beside them, registered per GoogleTest case under the ctest label `unit`.
# DEPS is the exact list of modules it may include; tools/check_layers.py checks the includes themselves.

set(TRUEVEC_WARNINGS -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Werror)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # GCC 12 takes the unused half of std::variant and std::optional for uninitialised memory.
  list(APPEND TRUEVEC_WARNINGS -Wno-maybe-uninitialized)
elseif(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  # std::stable_sort of libstdc++ 12 uses std::get_temporary_buffer, which clang reports inside the header.
  list(APPEND TRUEVEC_WARNINGS -Wno-deprecated-declarations)
endif()

function(truevec_compile_options target)
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include)
  # -ffp-contract=off: a compiler that fuses or splits multiply-adds on its own would break the
  # "same bits everywhere" invariant; kernels ask for FMA explicitly.
  target_compile_options(${target} PRIVATE ${TRUEVEC_WARNINGS} -ffp-contract=off)
  target_compile_definitions(${target} PRIVATE
    TRUEVEC_VERSION="${PROJECT_VERSION}")
  if(TRUEVEC_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${TRUEVEC_SANITIZE} -fno-omit-frame-pointer)
    target_link_options(${target} PRIVATE -fsanitize=${TRUEVEC_SANITIZE})
    if(TRUEVEC_SANITIZE STREQUAL "thread")
      # ThreadSanitizer knows no fences, and GCC refuses them; Asio's locks order the same things without.
      target_compile_definitions(${target} PRIVATE BOOST_ASIO_DISABLE_FENCED_BLOCK)
    endif()
  endif()
endfunction()

function(truevec_module name)
  cmake_parse_arguments(ARG "" "" "DEPS;LINK;TEST_DEPS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  set(tests ${sources})
  list(FILTER sources EXCLUDE REGEX "_test\\.cc$")
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  add_library(tv_${name} STATIC ${sources})
  truevec_compile_options(tv_${name})
  list(TRANSFORM ARG_DEPS PREPEND tv_ OUTPUT_VARIABLE deps)
  target_link_libraries(tv_${name} PUBLIC ${deps} ${ARG_LINK} Threads::Threads)
  if(TRUEVEC_BUILD_TESTS AND tests)
    add_executable(${name}_test ${tests})
    truevec_compile_options(${name}_test)
    # Tests read tests/golden and tests/cases from the source tree.
    # Only the files that use the path get it, so that a compiler cache serves the others to any checkout.
    foreach(test ${tests})
      file(STRINGS ${test} uses_source_dir REGEX TRUEVEC_SOURCE_DIR)
      if(uses_source_dir)
        set_property(SOURCE ${test} APPEND PROPERTY COMPILE_DEFINITIONS TRUEVEC_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
      endif()
    endforeach()
    list(TRANSFORM ARG_TEST_DEPS PREPEND tv_ OUTPUT_VARIABLE test_deps)
    target_link_libraries(${name}_test PRIVATE tv_${name} ${test_deps} GTest::gtest GTest::gtest_main)
    include(GoogleTest)
    gtest_discover_tests(${name}_test TEST_PREFIX "${name}." DISCOVERY_MODE PRE_TEST
      WORKING_DIRECTORY ${PROJECT_SOURCE_DIR} PROPERTIES LABELS unit TIMEOUT 120)
  endif()
endfunction()
