module smtpbench

go 1.25
