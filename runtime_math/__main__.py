from runtime_math.command_line import main

main()
