# What "cmake --install" puts beside the programs: units that name them where they are installed to
# (in the source they are under /usr/local), and the completions that the command itself prints.
set(top "$ENV{DESTDIR}${CMAKE_INSTALL_PREFIX}")

function(install_unit source target)
    file(READ "${packaging}/${source}" text)
    string(REPLACE "/usr/local/" "${CMAKE_INSTALL_PREFIX}/" text "${text}")
    file(WRITE "${top}/${target}" "${text}")
    message(STATUS "Installing: ${top}/${target}")
endfunction()

function(install_completion shell target)
    execute_process(COMMAND "${mainstay}" completion ${shell} OUTPUT_VARIABLE text RESULT_VARIABLE status)
    if(NOT status EQUAL 0)
        message(FATAL_ERROR "${mainstay} completion ${shell} failed")
    endif()
    file(WRITE "${top}/${target}" "${text}")
    message(STATUS "Installing: ${top}/${target}")
endfunction()

function(install_manual target)
    execute_process(COMMAND "${mainstay_man}" "${CMAKE_INSTALL_PREFIX}" "${packaging}/man" "${top}/${target}"
        RESULT_VARIABLE status)
    if(NOT status EQUAL 0)
        message(FATAL_ERROR "${mainstay_man} failed")
    endif()
    message(STATUS "Installing: ${top}/${target}")
endfunction()

install_manual(share/man)
install_unit(systemd/mainstayd.service lib/systemd/system/mainstayd.service)
install_unit(monit/mainstayd share/mainstay/monit/mainstayd)
install_completion(bash share/bash-completion/completions/mainstay)
install_completion(zsh share/zsh/site-functions/_mainstay)
